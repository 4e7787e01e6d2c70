// Distances of both images' channels are written once, 24 volumes: the scale of a descriptor wants a mean over the
// volume. A pass over voxels compares descriptors and puts the derivatives in their place.
#include <limits>

#include "kernels/mind_distances.cuh"
#include "kernels/mind_spread.cuh"
#include "regatta/kernels/mind.hpp"

namespace regatta::kernels::self_similarity {

namespace {

/// A voxel's distances, and what makes descriptors of them.
struct VoxelDescriptor {
  float distances[kChannels];
  float least;
  float by_scale;
  bool is_free;  ///< no bound holds the scale

  __device__ __forceinline__ VoxelDescriptor(const float* from, long long stride, float average) {
    float mean = 0.0F;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      distances[c] = from[c * stride];
      least = c == 0 ? distances[c] : fminf(least, distances[c]);
      mean += distances[c];
    }
    mean = fmaf(1.0F / kChannels, mean, -least);
    const float lowest = average * static_cast<float>(kMindLowest);
    const float highest = average * static_cast<float>(kMindHighest);
    const float scale = fmaxf(fminf(fmaxf(mean, lowest), highest), static_cast<float>(kMindFlat));
    is_free = scale == mean;
    by_scale = 1.0F / scale;
  }

  __device__ __forceinline__ float excess(int c) const {
    return (distances[c] - least) * by_scale;
  }
  __device__ __forceinline__ float value(int c) const {
    return __expf(-excess(c));
  }
};

/// @param warped  distances; overwritten with the derivatives with respect to them where wanted
/// @param share   of a channel of a voxel in the loss, twice
template <bool kWanted>
__global__ void __launch_bounds__(kMindVoxels)
    mind_compare_kernel(const float* __restrict__ fixed, float* __restrict__ warped,
                        const double* __restrict__ averages, long long voxels, long long stride, float share,
                        double* __restrict__ parts) {
  const long long i = static_cast<long long>(blockIdx.x) * kMindVoxels + threadIdx.x;
  float sum = 0.0F;
  if (i < voxels) {
    const long long at = blockIdx.y * voxels + i;
    float differences[kChannels];
    {
      const VoxelDescriptor of_fixed(fixed + at, stride, static_cast<float>(averages[blockIdx.y]));
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        differences[c] = of_fixed.value(c);
      }
    }
    const VoxelDescriptor of_warped(warped + at, stride, static_cast<float>(averages[gridDim.y + blockIdx.y]));
    float to_least = 0.0F;
    float to_scale = 0.0F;
    float ties = 0.0F;
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const float value = of_warped.value(c);
      const float difference = value - differences[c];
      sum = fmaf(difference, difference, sum);
      const float direct = -value * share * difference * of_warped.by_scale;
      differences[c] = direct;
      to_least -= direct;
      to_scale = fmaf(-of_warped.excess(c), direct, to_scale);
      ties += of_warped.distances[c] == of_warped.least ? 1.0F : 0.0F;
    }
    if constexpr (kWanted) {
      to_scale = of_warped.is_free ? to_scale : 0.0F;
      to_least = (to_least - to_scale) / ties;
#pragma unroll
      for (int c = 0; c < kChannels; ++c) {
        warped[at + c * stride] = differences[c] + to_scale * (1.0F / kChannels) +
                                  (of_warped.distances[c] == of_warped.least ? to_least : 0.0F);
      }
    }
  }
  const float of_block = block_sum<kMindVoxels>(sum);
  if (threadIdx.x == 0) {
    parts[static_cast<long long>(blockIdx.y) * gridDim.x + blockIdx.x] = of_block;
  }
}

Shape shape_of(const VolumeSize& size) {
  return {static_cast<int>(size.d),
          static_cast<int>(size.h),
          static_cast<int>(size.w),
          static_cast<int>(divide_up(size.d, kMindPlanes)),
          static_cast<int>(size.plane()),
          size.voxels(),
          size.all()};
}

dim3 blocks_of(const VolumeSize& size) {
  const MindGrid grid = mind_grid(size);
  return dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
}

dim3 flat_blocks_of(const VolumeSize& size) {
  return dim3(static_cast<unsigned>(mind_flat_blocks(size)), static_cast<unsigned>(size.n));
}

/// What lies in the scratch.
struct Scratch {
  double* averages;
  double* parts;
  float* fixed;   ///< distances, later `to_sides`
  float* warped;  ///< distances, later their derivatives

  Scratch(void* memory, const VolumeSize& size) {
    averages = static_cast<double*>(memory);
    parts = averages + 2 * size.n;
    fixed = reinterpret_cast<float*>(parts + mind_part_count(size));
    warped = fixed + kChannels * size.all();
  }
};

template <int kRadius>
void launch_mind(const MindPair& pair, float* to_warped, float* loss, const Scratch& scratch, Stream stream) {
  const VolumeSize& size = pair.size;
  const Shape shape = shape_of(size);
  const auto distances = mind_distances_kernel<kRadius>;
  const std::size_t shared = sizeof(RowSums<kRadius>) +
                             sizeof(float) * static_cast<std::size_t>(Neighbourhood<kRadius>::floats(pair.dilation));
  REGATTA_CUDA(cudaFuncSetAttribute(distances, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  const auto of_volume = mind_blocks_of_volume(size);
  distances<<<blocks_of(size), kMindThreads, shared, stream>>>(pair.fixed, shape, pair.dilation, scratch.fixed,
                                                               scratch.parts);
  check_launch("mind_distances");
  distances<<<blocks_of(size), kMindThreads, shared, stream>>>(pair.warped, shape, pair.dilation, scratch.warped,
                                                               scratch.parts + size.n * of_volume);
  check_launch("mind_distances");
  mind_average_kernel<<<static_cast<unsigned>(2 * size.n), 256, 0, stream>>>(
      scratch.parts, static_cast<int>(of_volume), static_cast<double>(size.voxels()), scratch.averages);
  check_launch("mind_average");
  const double share = 1.0 / (kChannels * static_cast<double>(size.all()));
  const auto compare = to_warped != nullptr ? mind_compare_kernel<true> : mind_compare_kernel<false>;
  compare<<<flat_blocks_of(size), kMindVoxels, 0, stream>>>(scratch.fixed, scratch.warped, scratch.averages,
                                                            size.voxels(), size.all(), static_cast<float>(2.0 * share),
                                                            scratch.parts);
  check_launch("mind_compare");
  sum_parts(scratch.parts, size.n * mind_flat_blocks(size), share, loss, stream);
  if (to_warped != nullptr) {
    const auto spread = mind_spread_kernel<kRadius>;
    constexpr std::size_t kShared = sizeof(RowSums<kRadius>);
    REGATTA_CUDA(cudaFuncSetAttribute(spread, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kShared)));
    spread<<<blocks_of(size), kMindThreads, kShared, stream>>>(pair.warped, shape, pair.dilation, scratch.warped,
                                                               scratch.fixed);
    check_launch("mind_spread");
    mind_gather_kernel<<<flat_blocks_of(size), kMindVoxels, 0, stream>>>(scratch.fixed, shape, pair.dilation,
                                                                         to_warped);
    check_launch("mind_gather");
  }
}

void check_pair(const MindPair& pair) {
  REGATTA_REQUIRE(pair.fixed != nullptr && pair.warped != nullptr, BugError, "mind: an image is missing");
  REGATTA_REQUIRE(mind_has_form(pair.radius, pair.dilation), BugError, "mind: no form for radius ", pair.radius,
                  ", dilation ", pair.dilation);
  for (const std::int64_t length : {pair.size.n, pair.size.d, pair.size.h, pair.size.w}) {
    REGATTA_REQUIRE(length >= 1 && length <= 65535, BugError, "mind: size ", length);
  }
  REGATTA_REQUIRE(pair.size.voxels() <= std::numeric_limits<int>::max() && mind_grid(pair.size).z <= 65535, BugError,
                  "mind: ", pair.size.n, " volumes of ", pair.size.voxels(), " voxels are too large");
}

}  // namespace

}  // namespace regatta::kernels::self_similarity

namespace regatta::kernels {

void mind(const MindPair& pair, float* to_warped, float* loss, void* scratch, Stream stream) {
  using namespace self_similarity;
  check_pair(pair);
  REGATTA_REQUIRE(loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError,
                  "mind: an array is missing, or the scratch not aligned to 8 bytes");
  const auto launch = pair.radius == 1 ? launch_mind<1> : launch_mind<2>;
  launch(pair, to_warped, loss, Scratch(scratch, pair.size), stream);
}

}  // namespace regatta::kernels
