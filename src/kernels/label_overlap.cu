// Each warp counts into a histogram of its own in shared memory, equal labels of its lanes at once; integer additions
// commute, so the order of the atomics does not matter.
#include "kernels/field.cuh"
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

/// @param equal  lanes with this label
__device__ __forceinline__ void count(unsigned* row, int label, unsigned equal, unsigned lane_bit) {
  if (label != kNoVoxel && (equal & (lane_bit - 1U)) == 0U) {
    row[label] += static_cast<unsigned>(__popc(equal));  // the first of its lanes; rows are the warp's own
  }
}

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
        int d, h, w;
        const bool inside = nearest(z, u.d, shape.d, d) & nearest(y, u.h, shape.h, h) & nearest(x, u.w, shape.w, w);
        warped = inside ? __ldg(moving + d * shape.plane + h * shape.w + w) : 0;
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
                  std::int64_t* counts, Stream stream) {
  check_field_size("label counts", size, 1);
  REGATTA_REQUIRE(fixed != nullptr && moving != nullptr && flow != nullptr && counts != nullptr, BugError,
                  "label counts: an array is missing");
  REGATTA_CUDA(cudaMemsetAsync(counts, 0, kBins * sizeof(*counts), stream));
  FieldShape shape = field_shape(size);
  shape.chunks = static_cast<int>(divide_up(size.d, kPlanes));
  const dim3 blocks(static_cast<unsigned>(divide_up(size.w, kFieldWidth)),
                    static_cast<unsigned>(divide_up(size.h, kFieldHeight)),
                    static_cast<unsigned>(size.n * shape.chunks));
  label_counts_kernel<<<blocks, kFieldThreads, 0, stream>>>(fixed, moving, flow,
                                                            reinterpret_cast<unsigned long long*>(counts), shape);
  check_launch("label_counts");
}

}  // namespace regatta::kernels
