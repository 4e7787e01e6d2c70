#include <limits>
#include <type_traits>

#include "kernels/field.cuh"
#include "kernels/image_difference_form.hpp"
#include "kernels/reduce.cuh"
#include "regatta/kernels/image_difference.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = kDifferenceThreads;
constexpr int kLastThreads = 1024;

struct Images {
  const float* fixed;
  const float* warped;
  const std::uint8_t* mask;
  long long count;
};

/// Four voxels at a time where rows of four are aligned, else one.
template <bool kWide>
using Values = std::conditional_t<kWide, float4, float>;
template <bool kWide>
using Flags = std::conditional_t<kWide, uchar4, std::uint8_t>;

/// Calls visit(index in units of `Values`, differences, whether each counts) for a thread's voxels, all of them read
/// before.
template <bool kWide, bool kMasked, class Visit>
__device__ __forceinline__ void for_each_difference(const Images& images, const Visit& visit) {
  constexpr int kOnce = kWide ? 4 : 1;
  constexpr int kReads = kDifferenceEach / kOnce;
  const long long count = images.count / kOnce;
  const long long first = static_cast<long long>(blockIdx.x) * (kThreads * kReads) + threadIdx.x;
  const auto* fixed = reinterpret_cast<const Values<kWide>*>(images.fixed);
  const auto* warped = reinterpret_cast<const Values<kWide>*>(images.warped);
  const auto* mask = reinterpret_cast<const Flags<kWide>*>(images.mask);
  Values<kWide> a[kReads] = {};
  Values<kWide> b[kReads] = {};
  Flags<kWide> inside[kReads] = {};
#pragma unroll
  for (int k = 0; k < kReads; ++k) {
    const long long i = first + k * kThreads;
    if (i < count) {
      a[k] = __ldg(fixed + i);
      b[k] = __ldg(warped + i);
      if constexpr (kMasked) {
        inside[k] = __ldg(mask + i);
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kReads; ++k) {
    const long long i = first + k * kThreads;
    if (i < count) {
      const auto& one = reinterpret_cast<const float(&)[kOnce]>(a[k]);
      const auto& other = reinterpret_cast<const float(&)[kOnce]>(b[k]);
      const auto& flags = reinterpret_cast<const std::uint8_t(&)[kOnce]>(inside[k]);
      float differences[kOnce];
      bool counts[kOnce];
#pragma unroll
      for (int v = 0; v < kOnce; ++v) {
        differences[v] = other[v] - one[v];
        counts[v] = !kMasked || flags[v] != 0;
      }
      visit(i, differences, counts);
    }
  }
}

/// @param parts  [blocks] sums, then [blocks] numbers of voxels
template <Penalty kPenalty, bool kMasked, bool kWide>
__global__ void __launch_bounds__(kThreads) difference_forward_kernel(Images images, double* __restrict__ parts) {
  float sum = 0.0F;
  int voxels = 0;
  for_each_difference<kWide, kMasked>(images, [&](long long, const auto& differences, const auto& counts) {
#pragma unroll
    for (int v = 0; v < (kWide ? 4 : 1); ++v) {
      const float difference = differences[v];
      sum += !counts[v] ? 0.0F : kPenalty == Penalty::kSquared ? difference * difference : fabsf(difference);
      voxels += counts[v] ? 1 : 0;
    }
  });
  const float of_block = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = of_block;
  }
  if constexpr (kMasked) {
    __syncthreads();
    const int in_block = block_sum<kThreads>(voxels);
    if (threadIdx.x == 0) {
      parts[gridDim.x + blockIdx.x] = in_block;
    }
  }
}

/// @param all  voxels that count; 0: as many as the parts say
__global__ void __launch_bounds__(kLastThreads)
    difference_mean_kernel(const double* __restrict__ parts, int blocks, double all, float* __restrict__ share,
                           float* __restrict__ loss) {
  double sum = 0.0;
  double voxels = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < blocks; i += kLastThreads) {
    sum += parts[i];
    voxels += all > 0.0 ? 0.0 : parts[blocks + i];
  }
  sum = block_sum<kLastThreads>(sum);
  __syncthreads();
  voxels = block_sum<kLastThreads>(voxels);
  if (threadIdx.x == 0) {
    const double of_voxel = 1.0 / fmax(all > 0.0 ? all : voxels, 1.0);
    *share = static_cast<float>(of_voxel);
    *loss = static_cast<float>(of_voxel * sum);
  }
}

template <Penalty kPenalty, bool kMasked, bool kWide>
__global__ void __launch_bounds__(kThreads)
    difference_backward_kernel(Images images, const float* __restrict__ share, const float* __restrict__ upstream,
                               float* __restrict__ to_fixed, float* __restrict__ to_warped) {
  constexpr int kOnce = kWide ? 4 : 1;
  const float factor =
      (kPenalty == Penalty::kSquared ? 2.0F : 1.0F) * __ldg(share) * (upstream == nullptr ? 1.0F : __ldg(upstream));
  for_each_difference<kWide, kMasked>(images, [&](long long i, const auto& differences, const auto& counts) {
    Values<kWide> slopes;
    Values<kWide> negative;
    auto& to = reinterpret_cast<float(&)[kOnce]>(slopes);
    auto& back = reinterpret_cast<float(&)[kOnce]>(negative);
#pragma unroll
    for (int v = 0; v < kOnce; ++v) {
      const float difference = differences[v];
      to[v] = counts[v] ? factor * (kPenalty == Penalty::kSquared ? difference : sign_of(difference)) : 0.0F;
      back[v] = -to[v];
    }
    if (to_warped != nullptr) {
      reinterpret_cast<Values<kWide>*>(to_warped)[i] = slopes;
    }
    if (to_fixed != nullptr) {
      reinterpret_cast<Values<kWide>*>(to_fixed)[i] = negative;
    }
  });
}

using ForwardKernel = void (*)(Images, double*);
using BackwardKernel = void (*)(Images, const float*, const float*, float*, float*);

/// By mask and width.
template <Penalty kPenalty>
constexpr ForwardKernel kForward[2][2] = {
    {difference_forward_kernel<kPenalty, false, false>, difference_forward_kernel<kPenalty, false, true>},
    {difference_forward_kernel<kPenalty, true, false>, difference_forward_kernel<kPenalty, true, true>}};
template <Penalty kPenalty>
constexpr BackwardKernel kBackward[2][2] = {
    {difference_backward_kernel<kPenalty, false, false>, difference_backward_kernel<kPenalty, false, true>},
    {difference_backward_kernel<kPenalty, true, false>, difference_backward_kernel<kPenalty, true, true>}};

bool is_wide(const ImageDifference& work, const float* to_fixed, const float* to_warped) {
  bool aligned = work.size.all() % 4 == 0 && is_aligned(work.mask, 4);
  for (const float* array : {work.fixed, work.warped, to_fixed, to_warped}) {
    aligned = aligned && is_aligned(array, sizeof(float4));
  }
  return aligned;
}

Images check_images(const ImageDifference& work) {
  REGATTA_REQUIRE(work.fixed != nullptr && work.warped != nullptr && work.penalty != Penalty::kNone, BugError,
                  "image difference: an image or the penalty is missing");
  for (const std::int64_t length : {work.size.n, work.size.d, work.size.h, work.size.w}) {
    REGATTA_REQUIRE(length >= 1, BugError, "image difference: size ", length);
  }
  REGATTA_REQUIRE(difference_blocks(work.size) <= std::numeric_limits<int>::max(), BugError,
                  "image difference: ", work.size.all(), " voxels are too many");
  return {work.fixed, work.warped, work.mask, work.size.all()};
}

}  // namespace

void image_difference_forward(const ImageDifference& work, float* share, float* loss, void* scratch, Stream stream) {
  const Images images = check_images(work);
  REGATTA_REQUIRE(share != nullptr && loss != nullptr && scratch != nullptr && is_aligned(scratch, 8), BugError,
                  "image difference: an array is missing, or the scratch not aligned to 8 bytes");
  auto* parts = static_cast<double*>(scratch);
  const auto blocks = static_cast<unsigned>(difference_blocks(work.size));
  const bool masked = work.mask != nullptr;
  const bool wide = is_wide(work, nullptr, nullptr);
  const auto& kernels = work.penalty == Penalty::kSquared ? kForward<Penalty::kSquared> : kForward<Penalty::kAbsolute>;
  kernels[masked ? 1 : 0][wide ? 1 : 0]<<<blocks, kThreads, 0, stream>>>(images, parts);
  check_launch("image_difference_forward");
  difference_mean_kernel<<<1, kLastThreads, 0, stream>>>(
      parts, static_cast<int>(blocks), masked ? 0.0 : static_cast<double>(work.size.all()), share, loss);
  check_launch("image_difference_mean");
}

void image_difference_backward(const ImageDifference& work, const float* share, const float* upstream, float* to_fixed,
                               float* to_warped, Stream stream) {
  const Images images = check_images(work);
  REGATTA_REQUIRE(share != nullptr && (to_fixed != nullptr || to_warped != nullptr), BugError,
                  "image difference: the share or both derivatives are missing");
  const auto blocks = static_cast<unsigned>(difference_blocks(work.size));
  const bool masked = work.mask != nullptr;
  const bool wide = is_wide(work, to_fixed, to_warped);
  const auto& kernels =
      work.penalty == Penalty::kSquared ? kBackward<Penalty::kSquared> : kBackward<Penalty::kAbsolute>;
  kernels[masked ? 1 : 0][wide ? 1 : 0]<<<blocks, kThreads, 0, stream>>>(images, share, upstream, to_fixed, to_warped);
  check_launch("image_difference_backward");
}

}  // namespace regatta::kernels
