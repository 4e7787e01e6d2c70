// Rows of tokens: vectors of four channels, sums over a warp, and sums of channels over all rows.
#pragma once

#include "kernels/bf16.cuh"
#include "kernels/launch.cuh"
#include "kernels/token_form.hpp"

namespace regatta::kernels::tokens {

constexpr int kThreads = 32 * kWarps;

__device__ __forceinline__ float4 unpack4(const uint2& raw) {
  return {low_bf16(raw.x), high_bf16(raw.x), low_bf16(raw.y), high_bf16(raw.y)};
}

__device__ __forceinline__ uint2 pack4(const float4& v) {
  return {pack_bf16(v.x, v.y), pack_bf16(v.z, v.w)};
}

__device__ __forceinline__ float4 plus(const float4& a, const float4& b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

__device__ __forceinline__ float4 times(const float4& a, const float4& b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
}

__device__ __forceinline__ float4 times(float a, const float4& b) {
  return {a * b.x, a * b.y, a * b.z, a * b.w};
}

__device__ __forceinline__ float total(const float4& v) {
  return (v.x + v.y) + (v.z + v.w);
}

/// The same in every lane.
__device__ __forceinline__ float sum_of_warp(float value) {
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, apart);
  }
  return value;
}

/// Which sums go where: [parts][count][channels] -> out[k][channels].
struct ColumnSums {
  const float* parts;
  float* out[kSums];
  int count;  ///< sums of a channel
  int channels;
  int blocks;  ///< parts
};

constexpr int kColumns = 32;  ///< of a block of `add_parts_kernel`
constexpr int kPartRows = 16;

/// In a fixed order: sixteen rows of parts, then these. Grid: chunks of channels, sums.
static __global__ void __launch_bounds__(kColumns* kPartRows) add_parts_kernel(ColumnSums sums) {
  __shared__ float rows[kPartRows][kColumns];
  const int column = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x) % kColumns;
  const int row = static_cast<int>(threadIdx.x) / kColumns;
  const int k = static_cast<int>(blockIdx.y);
  float* const out = k == 0 ? sums.out[0] : k == 1 ? sums.out[1] : sums.out[2];
  if (out == nullptr) {
    return;
  }
  float sum = 0.0F;
  if (column < sums.channels) {
    for (int block = row; block < sums.blocks; block += kPartRows) {
      sum += sums.parts[(static_cast<long long>(block) * sums.count + k) * sums.channels + column];
    }
  }
  rows[row][threadIdx.x % kColumns] = sum;
  __syncthreads();
  if (row == 0 && column < sums.channels) {
    for (int other = 1; other < kPartRows; ++other) {
      sum += rows[other][threadIdx.x];
    }
    out[column] = sum;
  }
}

inline void add_parts(const ColumnSums& sums, const char* kernel, Stream stream) {
  const dim3 grid(static_cast<unsigned>(divide_up(sums.channels, kColumns)), static_cast<unsigned>(sums.count));
  add_parts_kernel<<<grid, kColumns * kPartRows, 0, stream>>>(sums);
  check_launch(kernel);
}

inline void require_array(const char* kernel, const void* array, const char* what) {
  REGATTA_REQUIRE(array != nullptr && is_aligned(array, 16), BugError, kernel, ": ", what,
                  " is missing or not aligned to 16 bytes");
}

inline void require_aligned(const char* kernel, const void* array, const char* what) {
  REGATTA_REQUIRE(is_aligned(array, 16), BugError, kernel, ": ", what, " is not aligned to 16 bytes");
}

}  // namespace regatta::kernels::tokens
