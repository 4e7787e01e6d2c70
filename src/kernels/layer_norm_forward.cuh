// The forward pass of layer_norm.cu.
#pragma once

#include "kernels/layer_norm_rows.cuh"

namespace regatta::kernels {

/// stream + factor (branch + bias)
__device__ __forceinline__ float4 sum_at(const LayerNormForward& arrays, long long place, int vector, float factor) {
  float4 sum = {0.0F, 0.0F, 0.0F, 0.0F};
  if (arrays.stream != nullptr) {
    sum = fours(arrays.stream)[place];
  }
  if (arrays.branch != nullptr) {
    float4 branch = tokens::unpack4(reinterpret_cast<const uint2*>(arrays.branch)[place]);
    if (arrays.bias != nullptr) {
      branch = tokens::plus(branch, fours(arrays.bias)[vector]);
    }
    sum = tokens::plus(sum, tokens::times(factor, branch));
  }
  return sum;
}

__device__ __forceinline__ void put_normalised(const LayerNormForward& arrays, const RowMap& map, long long row,
                                               int vector, const float4& difference, float inverse) {
  const float4 out = tokens::plus(tokens::times(tokens::times(inverse, difference), fours(arrays.weight)[vector]),
                                  fours(arrays.shift)[vector]);
  const long long place = row * map.vectors + vector;
  if (arrays.out != nullptr) {
    reinterpret_cast<uint2*>(arrays.out)[place] = tokens::pack4(out);
  } else {
    fours(arrays.wide_out)[place] = out;
  }
}

__device__ __forceinline__ void put_statistics(const LayerNormForward& arrays, long long row, float mean,
                                               float inverse) {
  if (threadIdx.x % 32 == 0 && arrays.mean != nullptr) {
    arrays.mean[row] = mean;
    arrays.inverse_deviation[row] = inverse;
  }
}

__device__ __forceinline__ float inverse_of(float squares, int channels) {
  return rsqrtf(squares / static_cast<float>(channels) + static_cast<float>(kLayerNormEpsilon));
}

/// Rows that a warp reads before it adds up the first.
template <int kHeld>
struct ForwardRows {
  static constexpr int kAtOnce = kHeld == 1 ? 4 : kHeld == 2 ? 2 : 1;
};

/// Writes the sum and the normalised values of a row that a warp holds; `value` becomes the differences from the mean.
template <int kHeld>
__device__ __forceinline__ void put_row(const LayerNormForward& arrays, const RowMap& map, long long row,
                                        float4 (&value)[kHeld]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int channels = 4 * map.vectors;
  float sum = 0.0F;
#pragma unroll
  for (int k = 0; k < kHeld; ++k) {
    sum += tokens::total(value[k]);
  }
  const float mean = tokens::sum_of_warp(sum) / static_cast<float>(channels);
  float squares = 0.0F;
#pragma unroll
  for (int k = 0; k < kHeld; ++k) {
    if (lane + 32 * k < map.vectors) {
      if (arrays.sum != nullptr) {
        fours(arrays.sum)[row * map.vectors + lane + 32 * k] = value[k];
      }
      value[k] = centred(value[k], mean);
      squares += tokens::total(tokens::times(value[k], value[k]));
    }
  }
  const float inverse = inverse_of(tokens::sum_of_warp(squares), channels);
  put_statistics(arrays, row, mean, inverse);
#pragma unroll
  for (int k = 0; k < kHeld; ++k) {
    if (lane + 32 * k < map.vectors) {
      put_normalised(arrays, map, row, lane + 32 * k, value[k], inverse);
    }
  }
}

/// kHeld: vectors of a row that a lane holds.
template <int kHeld, bool kMerge>
__global__ void __launch_bounds__(tokens::kThreads, kHeld < 4 ? 4 : 2)
    layer_norm_forward_kernel(const LayerNormForward arrays, RowMap map) {
  constexpr int kAtOnce = ForwardRows<kHeld>::kAtOnce;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const long long warps = static_cast<long long>(gridDim.x) * tokens::kWarps;
  const long long warp = static_cast<long long>(blockIdx.x) * tokens::kWarps + threadIdx.x / 32;
  for (long long first = warp * kAtOnce; first < map.rows; first += warps * kAtOnce) {
    float4 value[kAtOnce][kHeld];
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      const long long row = min(first + r, map.rows - 1);
      const RowPlace<kMerge> place(map, row);
      const float factor = factor_of(arrays.factors, map, row);
#pragma unroll
      for (int k = 0; k < kHeld; ++k) {
        const int vector = lane + 32 * k;
        value[r][k] = vector < map.vectors ? sum_at(arrays, place.at(map, vector), vector, factor)
                                           : float4{0.0F, 0.0F, 0.0F, 0.0F};
      }
    }
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      if (first + r < map.rows) {
        put_row<kHeld>(arrays, map, first + r, value[r]);
      }
    }
  }
}

/// Wider rows: read three times.
template <bool kMerge>
__global__ void __launch_bounds__(tokens::kThreads)
    layer_norm_wide_forward_kernel(const LayerNormForward arrays, RowMap map) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int channels = 4 * map.vectors;
  const long long warps = static_cast<long long>(gridDim.x) * tokens::kWarps;
  for (long long row = static_cast<long long>(blockIdx.x) * tokens::kWarps + threadIdx.x / 32; row < map.rows;
       row += warps) {
    const RowPlace<kMerge> place(map, row);
    const float factor = factor_of(arrays.factors, map, row);
    float sum = 0.0F;
    for (int vector = lane; vector < map.vectors; vector += 32) {
      sum += tokens::total(sum_at(arrays, place.at(map, vector), vector, factor));
    }
    const float mean = tokens::sum_of_warp(sum) / static_cast<float>(channels);
    float squares = 0.0F;
    for (int vector = lane; vector < map.vectors; vector += 32) {
      const float4 difference = centred(sum_at(arrays, place.at(map, vector), vector, factor), mean);
      squares += tokens::total(tokens::times(difference, difference));
    }
    const float inverse = inverse_of(tokens::sum_of_warp(squares), channels);
    put_statistics(arrays, row, mean, inverse);
    for (int vector = lane; vector < map.vectors; vector += 32) {
      const float4 value = sum_at(arrays, place.at(map, vector), vector, factor);
      put_normalised(arrays, map, row, vector, centred(value, mean), inverse);
      if (arrays.sum != nullptr) {  // last: it may be the stream
        fours(arrays.sum)[place.at(map, vector)] = value;
      }
    }
  }
}

}  // namespace regatta::kernels
