// bfloat16 on the device: pairs in a 32-bit word, the first one in the lower half.
#pragma once

#include <cuda_bf16.h>

#include "regatta/kernels/bf16.hpp"

namespace regatta::kernels {

__device__ __forceinline__ float low_bf16(unsigned pair) {
  return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float high_bf16(unsigned pair) {
  return __uint_as_float(pair & 0xffff0000U);
}

__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

__device__ __forceinline__ Bf16 round_bf16(float value) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
}

}  // namespace regatta::kernels
