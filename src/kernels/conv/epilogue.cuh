// What becomes of a plane of sums: bias, activation or mask, and the store.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

#include "kernels/bf16.cuh"
#include "kernels/conv/calls.hpp"
#include "kernels/conv/march.hpp"
#include "kernels/conv/ptx.cuh"
#include "kernels/conv/slope.cuh"

namespace regatta::kernels::conv {

template <int kRows, int kTiles>
__device__ __forceinline__ void clear_sums(float (&sums)[kRows][kTiles][4]) {
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[r][n][i] = 0.0F;
      }
    }
  }
}

/// Multiplies by `slope` where the stored activation, two bf16, was not positive: its sign is that of what LeakyReLU
/// got.
__device__ __forceinline__ void apply_mask(float& low, float& high, std::uint32_t activation, float slope) {
  if (static_cast<int>(activation << 16) <= 0) {
    low *= slope;
  }
  if (static_cast<int>(activation & 0xffff0000U) <= 0) {
    high *= slope;
  }
}

template <class F>
using CallOf = std::conditional_t<F::kKey.prelu || F::kKey.edge == kLargeEdge, ExtendedCall, ForwardCall>;

/// A thread's share of a warp's rows x 16 voxels, which are kSpread apart: rows r, voxels x = group and group + 8, and
/// kTiles x 2 consecutive channels (the packing of the weights sees to that).
template <class F>
struct Finish {
  static constexpr int kValues = F::kTiles * 2;
  static constexpr bool kMasked = F::kKey.epilogue == Epilogue::kMask;
  using Mask = std::uint32_t[F::kRows][2][F::kTiles];

  const CallOf<F>& call;
  int channel;  // the first of this thread's
  int channels;
  float bias[kValues];
  float slope;
  float slope_sum = 0.0F;  // of a PReLU's gradient
  long long n = 0;
  int voxel = 0;             // of row 0, in its plane
  std::uint32_t inside = 0;  // bit 2 r + half

  __device__ Finish(const CallOf<F>& call_, int warp_channels, int group)
      : call(call_), channels(F::kOut * static_cast<int>(gridDim.y)) {
    const int quad = static_cast<int>(threadIdx.x) & 3;
    channel = group * F::kOut + warp_channels * F::kTiles * 8 + quad * kValues;
#pragma unroll
    for (int i = 0; i < kValues; ++i) {
      const bool real = F::kKey.epilogue != Epilogue::kPlanar || channel + i < 3;
      bias[i] = !kMasked && real && call.bias != nullptr ? call.bias[channel + i] : 0.0F;
      if constexpr (F::kKey.edge == kLargeEdge && !kMasked) {
        for (const float* more : call.more_bias) {
          bias[i] += real && more != nullptr ? more[channel + i] : 0.0F;
        }
      }
    }
    slope = call.slope;
    if constexpr (F::kKey.prelu) {
      slope = call.slope_at != nullptr ? *call.slope_at : slope;
    }
  }

  __device__ void place(long long n_, int y, int x) {
    n = n_;
    const int own = x + F::kSpread * (static_cast<int>(threadIdx.x) >> 2 & 7);
    voxel = y * call.W + own;
    inside = 0;
#pragma unroll
    for (int r = 0; r < F::kRows; ++r) {
      const bool row = y + F::kSpread * r < call.H;
      inside |= row && own < call.W ? 1U << (2 * r) : 0U;
      inside |= row && own + F::kSpread * 8 < call.W ? 2U << (2 * r) : 0U;
    }
  }

  /// Of row r and half, from `voxel`.
  __device__ int beside(int r, int half) const {
    return F::kSpread * (r * call.W + half * 8);
  }

  /// Of (z, row r, half).
  __device__ std::size_t at(int z, int r, int half) const {
    return static_cast<std::size_t>(n * call.D + z) * call.H * call.W + (voxel + beside(r, half));
  }

  /// The activations of plane z, on their way while the plane is summed.
  __device__ __forceinline__ void prefetch(Mask& mask, int z) const {
    if constexpr (kMasked) {
      const auto* plane = static_cast<const __nv_bfloat16*>(call.activation) + at(z, 0, 0) * channels + channel;
#pragma unroll
      for (int i = 0; i < F::kRows * 2; ++i) {
        if (call.activation != nullptr && (inside >> i & 1U) != 0) {
          load_early(mask[i / 2][i % 2], plane + beside(i / 2, i % 2) * channels);
        }
      }
    }
  }

  /// kValues consecutive channels at `element` of `to`.
  static __device__ __forceinline__ void store_values(void* to, std::size_t element, const float (&value)[kValues]) {
    auto* at = static_cast<__nv_bfloat16*>(to) + element;
    if constexpr (F::kTiles == 2) {
      *reinterpret_cast<uint2*>(at) = make_uint2(pack_bf16(value[0], value[1]), pack_bf16(value[2], value[3]));
    } else {
      *reinterpret_cast<unsigned*>(at) = pack_bf16(value[0], value[1]);
    }
  }

  __device__ __forceinline__ void activate(float (&value)[kValues], std::size_t element) const {
    if constexpr (F::kKey.prelu) {
      if (call.raw != nullptr) {
        store_values(call.raw, element, value);
      }
    }
#pragma unroll
    for (float& v : value) {  // a trained slope may be negative or above 1
      v = F::kKey.prelu ? (v > 0.0F ? v : v * slope) : fmaxf(v, v * call.slope);
    }
  }

  __device__ __forceinline__ void store(const float (&sums)[F::kRows][F::kTiles][4], const Mask& mask, int z) {
    const std::size_t plane = at(z, 0, 0) * channels + channel;
#pragma unroll
    for (int i = 0; i < F::kRows * 2; ++i) {
      const int r = i / 2;
      const int half = i % 2;
      float value[kValues];
#pragma unroll
      for (int n_tile = 0; n_tile < F::kTiles; ++n_tile) {
        value[2 * n_tile] = sums[r][n_tile][2 * half] + bias[2 * n_tile];
        value[2 * n_tile + 1] = sums[r][n_tile][2 * half + 1] + bias[2 * n_tile + 1];
      }
      if ((inside >> i & 1U) == 0) {
        continue;
      }
      if constexpr (F::kKey.epilogue == Epilogue::kPlanar) {
        store_planar(value, z, r, half);
        continue;
      }
      if constexpr (kMasked) {
        if (call.activation != nullptr) {
#pragma unroll
          for (int n_tile = 0; n_tile < F::kTiles; ++n_tile) {
            if constexpr (F::kKey.prelu) {
              slope_sum += apply_prelu_mask(value[2 * n_tile], value[2 * n_tile + 1], mask[r][half][n_tile], slope);
            } else {
              apply_mask(value[2 * n_tile], value[2 * n_tile + 1], mask[r][half][n_tile], call.slope);
            }
          }
        }
      } else {
        activate(value, plane + beside(r, half) * channels);
      }
      store_values(call.out, plane + beside(r, half) * channels, value);
    }
  }

  __device__ __forceinline__ void store_planar(const float (&value)[kValues], int z, int r, int half) const {
    const std::size_t voxels = static_cast<std::size_t>(call.D) * call.H * call.W;
    const std::size_t within = static_cast<std::size_t>(z) * call.H * call.W + (voxel + beside(r, half));
    float* to = static_cast<float*>(call.out) + static_cast<std::size_t>(n) * 3 * voxels + within;
#pragma unroll
    for (int k = 0; k < kValues; ++k) {
      if (channel + k < 3) {
        to[(channel + k) * voxels] = value[k];
      }
    }
  }
};

}  // namespace regatta::kernels::conv
