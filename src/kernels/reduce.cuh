// Sums in a fixed order: lanes, warps, blocks. No atomics.
#pragma once

#include "kernels/launch.cuh"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

/// Over the block's threads, a multiple of 32; valid in thread 0. All threads call it, once a kernel.
template <int kThreads, class T>
__device__ __forceinline__ T block_sum(T value) {
  __shared__ T of_warps[kThreads / 32];
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += __shfl_down_sync(0xffffffffU, value, lanes);
  }
  if (threadIdx.x % 32 == 0) {
    of_warps[threadIdx.x / 32] = value;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kThreads / 32; ++warp) {
      value += of_warps[warp];
    }
  }
  return value;
}

/// out = scale x sum of the parts, one launch of one block.
void sum_parts(const double* parts, long long count, double scale, float* out, Stream stream);

}  // namespace regatta::kernels
