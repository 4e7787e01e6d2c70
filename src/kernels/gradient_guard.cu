// The magnitude's bits, read as an unsigned number, order finite values below infinity and infinity below NaN: their
// largest is the answer, in any order of comparison.
#include <algorithm>

#include "kernels/guard_decision.hpp"
#include "kernels/launch.cuh"
#include "regatta/kernels/gradient_guard.hpp"

namespace regatta::kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kWide = 4;
constexpr unsigned kAllLanes = 0xffffffffU;

__device__ __forceinline__ unsigned magnitude(float value) {
  return __float_as_uint(value) & 0x7fffffffU;
}

/// Valid in thread 0.
__device__ __forceinline__ unsigned block_largest(unsigned value) {
  __shared__ unsigned of_warps[kThreads / 32];
  value = __reduce_max_sync(kAllLanes, value);
  if (threadIdx.x % 32 == 0) {
    of_warps[threadIdx.x / 32] = value;
  }
  __syncthreads();
  for (int warp = 1; warp < kThreads / 32; ++warp) {
    value = max(value, of_warps[warp]);
  }
  return value;
}

template <bool kVector>
__global__ void __launch_bounds__(kThreads)
    largest_kernel(const float* __restrict__ gradient, long long count, unsigned* __restrict__ of_blocks) {
  const long long stride = static_cast<long long>(gridDim.x) * kThreads;
  const long long first = static_cast<long long>(blockIdx.x) * kThreads + threadIdx.x;
  unsigned largest = 0;
  long long done = 0;
  if constexpr (kVector) {
    const long long fours = count / kWide;
    done = fours * kWide;
    for (long long i = first; i < fours; i += stride) {
      const float4 four = __ldg(reinterpret_cast<const float4*>(gradient) + i);
      largest = max(max(max(magnitude(four.x), magnitude(four.y)), max(magnitude(four.z), magnitude(four.w))), largest);
    }
  }
  for (long long i = done + first; i < count; i += stride) {
    largest = max(largest, magnitude(gradient[i]));
  }
  largest = block_largest(largest);
  if (threadIdx.x == 0) {
    of_blocks[blockIdx.x] = largest;
  }
}

__global__ void __launch_bounds__(kThreads)
    decide_kernel(const unsigned* __restrict__ of_blocks, int blocks, GuardStep now, GuardState state) {
  unsigned largest = 0;
  for (int i = static_cast<int>(threadIdx.x); i < blocks; i += kThreads) {
    largest = max(largest, of_blocks[i]);
  }
  largest = block_largest(largest);
  if (threadIdx.x == 0) {
    const bool good = __uint_as_float(largest) <= kLargestGradient && isfinite(*now.loss);
    decide_step(good, now.step->update, now.most_in_row, state);
  }
}

}  // namespace

void gradient_guard(const GuardStep& now, const GuardState& state, void* scratch, const Capability& chip,
                    Stream stream) {
  REGATTA_REQUIRE(now.count >= 0 && (now.gradient != nullptr || now.count == 0) && now.loss != nullptr &&
                      now.step != nullptr && scratch != nullptr,
                  BugError, "gradient guard: an array is missing");
  auto* of_blocks = static_cast<unsigned*>(scratch);
  const long long most = std::clamp(chip.multiprocessors * 8, 1, kGuardBlocks);
  const int blocks = static_cast<int>(std::clamp(divide_up(now.count, kThreads * kWide), 1LL, most));
  if (is_aligned(now.gradient, 16)) {
    largest_kernel<true><<<blocks, kThreads, 0, stream>>>(now.gradient, now.count, of_blocks);
  } else {
    largest_kernel<false><<<blocks, kThreads, 0, stream>>>(now.gradient, now.count, of_blocks);
  }
  check_launch("gradient_guard: largest");
  decide_kernel<<<1, kThreads, 0, stream>>>(of_blocks, blocks, now, state);
  check_launch("gradient_guard: decide");
}

}  // namespace regatta::kernels
