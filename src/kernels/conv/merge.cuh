// Sums of several warps of a block become one, always in the same order.
#pragma once

#include <cuda_runtime.h>

namespace regatta::kernels::conv {

/// Adds the sums of sharers 1, 2, ... to those of sharer 0 of the same role. `shared` holds roles x kSums x 32 floats
/// and is free.
template <int kSums, int kSharers>
__device__ __forceinline__ void merge_warps(float (&sums)[kSums], float* shared, int role, int sharer) {
  float* mine = shared + role * kSums * 32 + (static_cast<int>(threadIdx.x) & 31);
  for (int giver = 1; giver < kSharers; ++giver) {
    __syncthreads();
    if (sharer == giver) {
#pragma unroll
      for (int i = 0; i < kSums; ++i) {
        mine[i * 32] = sums[i];
      }
    }
    __syncthreads();
    if (sharer == 0) {
#pragma unroll
      for (int i = 0; i < kSums; ++i) {
        sums[i] += mine[i * 32];
      }
    }
  }
}

}  // namespace regatta::kernels::conv
