// Products of two rows of a tensor, of which backward needs the sums.
#pragma once

#include "kernels/window_attention/products.cuh"

namespace regatta::kernels::attention {

/// Sum of the products of two bf16 pairs.
__device__ __forceinline__ float dot_pair(std::uint32_t a, std::uint32_t b) {
  return low_bf16(a) * low_bf16(b) + high_bf16(a) * high_bf16(b);
}

/// Of c consecutive values.
template <class F>
__device__ __forceinline__ float dot_row(const std::uint8_t* a, const std::uint8_t* b) {
  float sum = 0.0F;
#pragma unroll
  for (int i = 0; i < F::kHeadSize / 4; ++i) {
    const uint2 left = reinterpret_cast<const uint2*>(a)[i];
    const uint2 right = reinterpret_cast<const uint2*>(b)[i];
    sum += dot_pair(left.x, right.x) + dot_pair(left.y, right.y);
  }
  return sum;
}

}  // namespace regatta::kernels::attention
