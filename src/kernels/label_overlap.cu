// Each warp counts into a histogram of its own in shared memory, equal labels of its lanes at once; integer additions
// commute, so the order of the atomics does not matter.
#include "kernels/trilinear.cuh"
#include "regatta/kernels/label_overlap.hpp"

namespace regatta::kernels {
namespace {

constexpr int kPlanes = 16;  ///< a block's
constexpr int kWarps = kFieldThreads / 32;
constexpr int kBins = kLabelRows * kLabelValues;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr int kNoVoxel = kLabelValues;  ///< of lanes beyond the border

/// In float64, as the reference: which voxel is nearest must not depend on rounding.
__device__ __forceinline__ bool nearest(int index, float displacement, int size, int& out) {
  const double point = static_cast<double>(index) + static_cast<double>(displacement);
  const bool inside = point >= 0.0 && point <= static_cast<double>(size - 1);
  out = inside ? __double2int_rd(point + 0.5) : 0;
  return inside;
}

/// The label of the nearest voxel, 0 beyond the outer ones. @param moving  of this volume
__device__ __forceinline__ int nearest_label(const std::uint8_t* moving, int z, int y, int x, const Vector3& u,
                                             const FieldShape& shape) {
  int d, h, w;
  const bool inside = nearest(z, u.d, shape.d, d) & nearest(y, u.h, shape.h, h) & nearest(x, u.w, shape.w, w);
  return inside ? __ldg(moving + d * shape.plane + h * shape.w + w) : 0;
}

/// The eight voxels around a point, index 4 d + 2 h + w. Outside: label 0 without weight.
struct LabelCorners {
  int label[8];
  float weight[8];

  __device__ __forceinline__ LabelCorners(const std::uint8_t* moving, int z, int y, int x, const Vector3& u,
                                          const FieldShape& shape) {
    const int lower[3] = {lower_index(z, u.d), lower_index(y, u.h), lower_index(x, u.w)};
    const float upper[3] = {u.d - floorf(u.d), u.h - floorf(u.h), u.w - floorf(u.w)};
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const int d = beyond(lower[0], k >> 2);
      const int h = beyond(lower[1], k >> 1 & 1);
      const int w = beyond(lower[2], k & 1);
      const bool inside = is_index(d, shape.d) && is_index(h, shape.h) && is_index(w, shape.w);
      const float of_d = (k & 4) != 0 ? upper[0] : 1.0F - upper[0];
      const float of_h = (k & 2) != 0 ? upper[1] : 1.0F - upper[1];
      const float of_w = (k & 1) != 0 ? upper[2] : 1.0F - upper[2];
      label[k] = inside ? __ldg(moving + d * shape.plane + h * shape.w + w) : 0;
      weight[k] = inside ? __fmul_rn(__fmul_rn(of_d, of_h), of_w) : 0.0F;
    }
  }
};

/// Weights of a label are added in the order of the voxels. NaN: no weight is above 0.
__device__ __forceinline__ int heaviest_label(const LabelCorners& c) {
  bool same = true;
  float all = 0.0F;
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    same = same && c.label[k] == c.label[0];
    all = __fadd_rn(all, c.weight[k]);
  }
  if (same) {
    return all > 0.0F ? c.label[0] : 0;
  }
  int best = 0;
  float largest = 0.0F;
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    float sum = 0.0F;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      sum = __fadd_rn(sum, c.label[j] == c.label[k] ? c.weight[j] : 0.0F);
    }
    if (sum > largest || (sum == largest && c.label[k] < best)) {
      best = c.label[k];
      largest = sum;
    }
  }
  return best;
}

/// @param equal  lanes with this label
__device__ __forceinline__ void count(unsigned* row, int label, unsigned equal, unsigned lane_bit) {
  if (label != kNoVoxel && (equal & (lane_bit - 1U)) == 0U) {
    row[label] += static_cast<unsigned>(__popc(equal));  // the first of its lanes; rows are the warp's own
  }
}

template <LabelWarp kWarp>
__global__ void __launch_bounds__(kFieldThreads)
    label_counts_kernel(const std::uint8_t* __restrict__ fixed, const std::uint8_t* __restrict__ moving,
                        const float* __restrict__ flow, unsigned long long* __restrict__ counts, FieldShape shape) {
  __shared__ unsigned bins[kWarps][kLabelRows][kLabelValues];
  auto* flat = &bins[0][0][0];
  for (int i = static_cast<int>(threadIdx.x); i < kWarps * kBins; i += kFieldThreads) {
    flat[i] = 0;
  }
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const unsigned lane_bit = 1U << lane;
  const int x = static_cast<int>(blockIdx.x) * kFieldWidth + lane;
  const int y = static_cast<int>(blockIdx.y) * kFieldHeight + warp;
  const int first = static_cast<int>(blockIdx.z) % shape.chunks * kPlanes;
  const long long volume = static_cast<int>(blockIdx.z) / shape.chunks;
  const FieldView field(flow, volume, shape.voxels);
  fixed += volume * shape.voxels;
  moving += volume * shape.voxels;
  unsigned(&rows)[kLabelRows][kLabelValues] = bins[warp];
  if (y < shape.h) {
    for (int z = first; z < min(first + kPlanes, shape.d); ++z) {
      int of_fixed = kNoVoxel;
      int of_moving = kNoVoxel;
      int warped = kNoVoxel;
      if (x < shape.w) {
        const int i = z * shape.plane + y * shape.w + x;
        const Vector3 u = field.at(i);
        of_fixed = __ldg(fixed + i);
        of_moving = __ldg(moving + i);
        if constexpr (kWarp == LabelWarp::kNearest) {
          warped = nearest_label(moving, z, y, x, u, shape);
        } else {
          warped = heaviest_label(LabelCorners(moving, z, y, x, u, shape));
        }
      }
      const unsigned equal_warped = __match_any_sync(kAllLanes, warped);
      const unsigned agreeing = __ballot_sync(kAllLanes, warped == of_fixed);
      const unsigned both = equal_warped & agreeing;
      count(rows[static_cast<int>(LabelRow::kFixed)], of_fixed, __match_any_sync(kAllLanes, of_fixed), lane_bit);
      count(rows[static_cast<int>(LabelRow::kMoving)], of_moving, __match_any_sync(kAllLanes, of_moving), lane_bit);
      count(rows[static_cast<int>(LabelRow::kWarped)], warped, equal_warped, lane_bit);
      if ((both & lane_bit) != 0U) {
        count(rows[static_cast<int>(LabelRow::kBoth)], warped, both, lane_bit);
      }
      __syncwarp();
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < kBins; i += kFieldThreads) {
    unsigned sum = 0;
    for (int w = 0; w < kWarps; ++w) {
      sum += flat[w * kBins + i];
    }
    if (sum > 0) {
      atomicAdd(counts + i, static_cast<unsigned long long>(sum));
    }
  }
}

}  // namespace

void label_counts(const std::uint8_t* fixed, const std::uint8_t* moving, const float* flow, const VolumeSize& size,
                  LabelWarp warp, std::int64_t* counts, Stream stream) {
  check_field_size("label counts", size, 1);
  REGATTA_REQUIRE(fixed != nullptr && moving != nullptr && flow != nullptr && counts != nullptr, BugError,
                  "label counts: an array is missing");
  REGATTA_CUDA(cudaMemsetAsync(counts, 0, kBins * sizeof(*counts), stream));
  FieldShape shape = field_shape(size);
  shape.chunks = static_cast<int>(divide_up(size.d, kPlanes));
  const dim3 blocks(static_cast<unsigned>(divide_up(size.w, kFieldWidth)),
                    static_cast<unsigned>(divide_up(size.h, kFieldHeight)),
                    static_cast<unsigned>(size.n * shape.chunks));
  const auto kernel = warp == LabelWarp::kNearest ? label_counts_kernel<LabelWarp::kNearest>
                                                  : label_counts_kernel<LabelWarp::kLargestWeight>;
  kernel<<<blocks, kFieldThreads, 0, stream>>>(fixed, moving, flow, reinterpret_cast<unsigned long long*>(counts),
                                               shape);
  check_launch("label_counts");
}

}  // namespace regatta::kernels
