// The gradient of a PReLU's trained slope: the sum of min(before, 0) times the gradient, in a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/bf16.cuh"

namespace regatta::kernels::conv {

/// Multiplies by a PReLU's slope where `before`, two bf16 that it got, was not positive. @return what this adds to the
/// slope's gradient
__device__ __forceinline__ float apply_prelu_mask(float& low, float& high, std::uint32_t before, float slope) {
  const float first = low_bf16(before);
  const float second = high_bf16(before);
  const float sum = fminf(first, 0.0F) * low + fminf(second, 0.0F) * high;
  low = first > 0.0F ? low : low * slope;
  high = second > 0.0F ? high : high * slope;
  return sum;
}

/// *to = the sum of all threads' shares of the slope's gradient, for the second stage. `to` may be null.
template <int kThreads>
__device__ __forceinline__ void store_slope_sum(float sum, float* shared, float* to) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    sum += __shfl_xor_sync(0xffffffffU, sum, step);
  }
  __syncthreads();
  if ((threadIdx.x & 31) == 0) {
    shared[threadIdx.x >> 5] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0 && to != nullptr) {
    float all = 0.0F;
    for (int warp = 0; warp < kThreads / 32; ++warp) {
      all += shared[warp];
    }
    *to = all;
  }
}

}  // namespace regatta::kernels::conv
