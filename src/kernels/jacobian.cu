// A thread marches along D with the planes before and after in registers; its neighbours in the plane come from the
// cache. Determinants are rounded after each operation as nn's reference rounds them, so that the same voxels fold.
#include <cmath>

#include "kernels/field.cuh"
#include "kernels/jacobian_form.hpp"
#include "regatta/kernels/jacobian.hpp"

namespace regatta::kernels {
namespace {

constexpr int kWarps = kFieldThreads / 32;
constexpr int kSumThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffU;

/// The difference over two voxels is halved, that over one at the border is not.
__device__ __forceinline__ Vector3 slope(const Vector3& before, const Vector3& after, bool central) {
  const float factor = central ? 0.5F : 1.0F;
  return {__fmul_rn(__fsub_rn(after.d, before.d), factor), __fmul_rn(__fsub_rn(after.h, before.h), factor),
          __fmul_rn(__fsub_rn(after.w, before.w), factor)};
}

/// b[p] c[q] - b[q] c[p]
__device__ __forceinline__ float minor_of(float bp, float cq, float bq, float cp) {
  return __fsub_rn(__fmul_rn(bp, cq), __fmul_rn(bq, cp));
}

/// @param d, h, w  how p + flow(p) changes along each axis
__device__ __forceinline__ float determinant(const Vector3& d, const Vector3& h, const Vector3& w) {
  const float first = __fmul_rn(minor_of(h.h, w.w, w.h, h.w), d.d);
  const float second = __fmul_rn(minor_of(d.h, w.w, w.h, d.w), h.d);
  const float third = __fmul_rn(minor_of(d.h, h.w, h.h, d.w), w.d);
  return __fadd_rn(__fsub_rn(first, second), third);
}

__device__ __forceinline__ double held(double value, const JacobianLog& log) {
  return value < log.least ? log.least : value > log.most ? log.most : value;  // NaN stays
}

struct Sums {
  int folds = 0;
  int voxels = 0;
  double log = 0.0;
  double log_squares = 0.0;
  double shifted = 0.0;
  double shifted_squares = 0.0;
};

__device__ __forceinline__ double sum_of_lanes(double value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += __shfl_down_sync(kAllLanes, value, lanes);
  }
  return value;
}

/// Sums of the block, each into its row of `parts`. @param blocks  length of a row
__device__ __forceinline__ void put_sums(const Sums& sums, double* parts, long long blocks) {
  __shared__ double of_warps[kJacobianSums][kWarps];
  const double values[kJacobianSums] = {static_cast<double>(sums.folds),
                                        static_cast<double>(sums.voxels),
                                        sums.log,
                                        sums.log_squares,
                                        sums.shifted,
                                        sums.shifted_squares};
#pragma unroll
  for (int s = 0; s < kJacobianSums; ++s) {
    const double sum = sum_of_lanes(values[s]);
    if (threadIdx.x % 32 == 0) {
      of_warps[s][threadIdx.x / 32] = sum;
    }
  }
  __syncthreads();
  if (threadIdx.x < kJacobianSums) {
    double sum = 0.0;
    for (int warp = 0; warp < kWarps; ++warp) {
      sum += of_warps[threadIdx.x][warp];
    }
    const long long block = (static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    parts[threadIdx.x * blocks + block] = sum;
  }
}

__global__ void __launch_bounds__(kFieldThreads)
    jacobian_kernel(const float* __restrict__ flow, const std::uint8_t* __restrict__ mask, FieldShape shape,
                    JacobianLog log, double log_of_unit, double* __restrict__ parts, long long blocks) {
  const FieldThread t(shape, kJacobianPlanes);
  const FieldView field(flow, t.volume, shape.voxels);
  const int end = min(t.z0 + kJacobianPlanes, shape.d);
  const int margin = static_cast<int>(log.margin);
  const bool in_plane = t.y >= margin && t.y < shape.h - margin && t.x >= margin && t.x < shape.w - margin;
  Sums sums;
  if (t.inside) {
    int i = t.i;
    Vector3 here = field.at(i);
    Vector3 before = t.z0 > 0 ? field.at(i - shape.plane) : here;
#pragma unroll 1
    for (int z = t.z0; z < end; ++z, i += shape.plane) {
      const bool has_next = z + 1 < shape.d;
      const Vector3 next = has_next ? field.at(i + shape.plane) : here;
      Vector3 d = slope(before, next, has_next && z > 0);
      Vector3 h = slope(field.at(i + t.above), field.at(i + t.below), t.above != 0 && t.below != 0);
      Vector3 w = slope(field.at(t.has_left ? i - 1 : i), field.at(t.has_right ? i + 1 : i), t.has_left && t.has_right);
      d.d = __fadd_rn(d.d, 1.0F);
      h.h = __fadd_rn(h.h, 1.0F);
      w.w = __fadd_rn(w.w, 1.0F);
      const float det = determinant(d, h, w);
      sums.folds += det > 0.0F ? 0 : 1;
      const bool counts = in_plane && z >= margin && z < shape.d - margin &&
                          (mask == nullptr || __ldg(mask + static_cast<long long>(t.volume) * shape.voxels + i) != 0);
      if (counts) {
        const double plain = ::log(held(static_cast<double>(det), log));
        const double shifted = ::log(held(static_cast<double>(det) + log.shift, log)) - log_of_unit;
        sums.voxels += 1;
        sums.log += plain;
        sums.log_squares += plain * plain;
        sums.shifted += shifted;
        sums.shifted_squares += shifted * shifted;
      }
      before = here;
      here = next;
    }
  }
  put_sums(sums, parts, blocks);
}

/// A block for each sum.
__global__ void __launch_bounds__(kSumThreads)
    sum_rows_kernel(const double* __restrict__ parts, long long count, double* __restrict__ sums) {
  __shared__ double of_warps[kSumThreads / 32];
  const double* row = parts + blockIdx.x * count;
  double sum = 0.0;
  for (long long i = threadIdx.x; i < count; i += kSumThreads) {
    sum += row[i];
  }
  sum = sum_of_lanes(sum);
  if (threadIdx.x % 32 == 0) {
    of_warps[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double all = 0.0;
    for (const double of_warp : of_warps) {
      all += of_warp;
    }
    sums[blockIdx.x] = all;
  }
}

}  // namespace

void jacobian_sums(const float* flow, const std::uint8_t* mask, const VolumeSize& size, const JacobianLog& log,
                   double* sums, void* scratch, Stream stream) {
  check_field_size("jacobian sums", size, 2);
  REGATTA_REQUIRE(flow != nullptr && sums != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError,
                  "jacobian sums: an array is missing, or the scratch not aligned to 8 bytes");
  REGATTA_REQUIRE(log.margin >= 0 && log.margin < std::numeric_limits<int>::max() / 2, BugError,
                  "jacobian sums: a margin of ", log.margin);
  const FieldShape shape = field_shape(size, kJacobianPlanes);
  const FieldGrid grid = field_grid(size, kJacobianPlanes);
  const long long blocks = grid.x * grid.y * grid.z;
  auto* parts = static_cast<double*>(scratch);
  jacobian_kernel<<<field_blocks(size, kJacobianPlanes), kFieldThreads, 0, stream>>>(
      flow, mask, shape, log, std::log(1.0 + log.shift), parts, blocks);
  check_launch("jacobian_sums");
  sum_rows_kernel<<<kJacobianSums, kSumThreads, 0, stream>>>(parts, blocks, sums);
  check_launch("jacobian_sums, rows");
}

}  // namespace regatta::kernels
