// Backward. With P the weights, S the logits, D the mean of dP by P of each row (= dO . O):
// dP = dO V', dS = P (dP - D), dQ = dS K, dK = dS' Q, dV = P' dO, all made from the kept logarithms of sums.
//
// Half of the blocks have queries as rows and keys as columns: they give dQ and the table's gradient. The others have
// keys as rows and give dK and dV. P and dS are so made twice, and never stored.
#pragma once

#include "kernels/launch.cuh"
#include "kernels/window_attention/backward_keys.cuh"
#include "kernels/window_attention/backward_queries.cuh"

namespace regatta::kernels::attention {

template <class F>
__global__ void __launch_bounds__(kThreads, F::kBackwardBlocks) backward(const Call call) {
  extern __shared__ __align__(16) std::uint8_t block_memory[];
  const auto part = static_cast<int>(blockIdx.x / 2);
  if (blockIdx.x % 2 == 0) {
    query_block<F>(call, part, block_memory);
  } else {
    key_block<F>(call, part, block_memory);
  }
}

template <int kHeadSize>
void launch_backward(const Call& call, Stream stream) {
  using F = Form<kHeadSize>;
  REGATTA_CUDA(cudaFuncSetAttribute(backward<F>, cudaFuncAttributeMaxDynamicSharedMemorySize, F::kBackwardShared));
  const dim3 blocks(2 * call.parts, call.heads, call.windows);
  backward<F><<<blocks, kThreads, F::kBackwardShared, stream>>>(call);
  check_launch("window_attention backward");
}

}  // namespace regatta::kernels::attention
