// The backward pass of layer_norm.cu.
#pragma once

#include "kernels/layer_norm_rows.cuh"

namespace regatta::kernels {

__device__ __forceinline__ float4 arriving_at(const LayerNormBackward& arrays, long long place) {
  return arrays.out_gradient != nullptr ? tokens::unpack4(reinterpret_cast<const uint2*>(arrays.out_gradient)[place])
                                        : fours(arrays.wide_out_gradient)[place];
}

__device__ __forceinline__ float4 normalised(const float4& value, float mean, float inverse) {
  return tokens::times(inverse, centred(value, mean));
}

/// What a row gives back: its own share and that of the sum's other readers.
struct RowGradient {
  float inverse, mean_e, mean_product, factor;

  /// @param e  the gradient of the normalised value t, times weight
  __device__ __forceinline__ float4 put(const LayerNormBackward& arrays, long long place, const float4& e,
                                        const float4& t) const {
    float4 to = {inverse * (e.x - mean_e - t.x * mean_product), inverse * (e.y - mean_e - t.y * mean_product),
                 inverse * (e.z - mean_e - t.z * mean_product), inverse * (e.w - mean_e - t.w * mean_product)};
    if (arrays.sum_gradient != nullptr) {
      to = tokens::plus(to, fours(arrays.sum_gradient)[place]);
    }
    fours(arrays.to_sum)[place] = to;
    const float4 of_branch = tokens::times(factor, to);
    if (arrays.to_branch != nullptr) {
      reinterpret_cast<uint2*>(arrays.to_branch)[place] = tokens::pack4(of_branch);
    }
    return of_branch;
  }
};

/// The warps' sums of one channel each, in their order. parts: [blocks][kSums][channels]
template <int kHeld>
__device__ __forceinline__ void put_parts(const float4 (&sums)[tokens::kSums][kHeld], float* parts, const RowMap& map) {
  extern __shared__ float4 met[];  // [warps][vectors]
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
  for (int s = 0; s < tokens::kSums; ++s) {
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kHeld; ++k) {
      if (lane + 32 * k < map.vectors) {
        met[warp * map.vectors + lane + 32 * k] = sums[s][k];
      }
    }
    __syncthreads();
    for (int vector = static_cast<int>(threadIdx.x); vector < map.vectors; vector += tokens::kThreads) {
      float4 all = met[vector];
      for (int other = 1; other < tokens::kWarps; ++other) {
        all = tokens::plus(all, met[other * map.vectors + vector]);
      }
      fours(parts)[(static_cast<long long>(blockIdx.x) * tokens::kSums + s) * map.vectors + vector] = all;
    }
  }
}

/// A row's statistics and what a lane holds of it.
template <int kSize>
struct BackwardRow {
  RowGradient gradient;
  float mean;
  float4 e[kSize];  ///< gradient of the normalised value, times weight
  float4 t[kSize];  ///< normalised value

  __device__ __forceinline__ void open(const LayerNormBackward& arrays, const RowMap& map, long long row) {
    mean = arrays.mean[row];
    gradient.inverse = arrays.inverse_deviation[row];
    gradient.factor = factor_of(arrays.factors, map, row);
  }

  /// @return what arrives
  __device__ __forceinline__ float4 read(const LayerNormBackward& arrays, const RowMap& map, long long row,
                                         long long place, int vector, int k) {
    t[k] = normalised(fours(arrays.sum)[place], mean, gradient.inverse);
    const float4 arriving = arriving_at(arrays, row * map.vectors + vector);
    e[k] = tokens::times(arriving, fours(arrays.weight)[vector]);
    return arriving;
  }

  __device__ __forceinline__ void close(float share, float sum_e, float sum_product) {
    gradient.mean_e = share * tokens::sum_of_warp(sum_e);
    gradient.mean_product = share * tokens::sum_of_warp(sum_product);
  }
};

/// Rows of up to kHeld vectors a lane; a warp reads kAtOnce rows before it adds up the first.
template <int kHeld, bool kMerge>
__global__ void __launch_bounds__(tokens::kThreads, kHeld < 3    ? 3
                                                    : kHeld == 3 ? 2
                                                                 : 1)
    layer_norm_backward_kernel(const LayerNormBackward arrays, float* __restrict__ parts, RowMap map) {
  constexpr int kAtOnce = kHeld == 1 ? 2 : 1;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float share = 1.0F / static_cast<float>(4 * map.vectors);
  float4 sums[tokens::kSums][kHeld] = {};
  const long long stride = static_cast<long long>(gridDim.x) * tokens::kWarps * kAtOnce;
  for (long long first = (static_cast<long long>(blockIdx.x) * tokens::kWarps + threadIdx.x / 32) * kAtOnce;
       first < map.rows; first += stride) {
    BackwardRow<kHeld> rows[kAtOnce];
    float sum_e[kAtOnce] = {};
    float sum_product[kAtOnce] = {};
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      const long long row = min(first + r, map.rows - 1);
      rows[r].open(arrays, map, row);
      const RowPlace<kMerge> place(map, row);
#pragma unroll
      for (int k = 0; k < kHeld; ++k) {
        const int vector = lane + 32 * k;
        if (vector < map.vectors) {
          const float4 arriving = rows[r].read(arrays, map, row, place.at(map, vector), vector, k);
          sum_e[r] += tokens::total(rows[r].e[k]);
          sum_product[r] += tokens::total(tokens::times(rows[r].e[k], rows[r].t[k]));
          if (first + r < map.rows) {
            sums[0][k] = tokens::plus(sums[0][k], tokens::times(arriving, rows[r].t[k]));
            sums[1][k] = tokens::plus(sums[1][k], arriving);
          }
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kAtOnce; ++r) {
      rows[r].close(share, sum_e[r], sum_product[r]);
      if (first + r < map.rows) {
        const RowPlace<kMerge> place(map, first + r);
#pragma unroll
        for (int k = 0; k < kHeld; ++k) {
          const int vector = lane + 32 * k;
          if (vector < map.vectors) {
            sums[2][k] = tokens::plus(sums[2][k],
                                      rows[r].gradient.put(arrays, place.at(map, vector), rows[r].e[k], rows[r].t[k]));
          }
        }
      }
    }
  }
  put_parts(sums, parts, map);
}

/// Wider rows: read twice, the sums of channels left to `layer_norm_columns_kernel`.
template <bool kMerge>
__global__ void __launch_bounds__(tokens::kThreads)
    layer_norm_wide_backward_kernel(const LayerNormBackward arrays, RowMap map) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float share = 1.0F / static_cast<float>(4 * map.vectors);
  const long long stride = static_cast<long long>(gridDim.x) * tokens::kWarps;
  for (long long row = static_cast<long long>(blockIdx.x) * tokens::kWarps + threadIdx.x / 32; row < map.rows;
       row += stride) {
    BackwardRow<1> held;
    held.open(arrays, map, row);
    const RowPlace<kMerge> place(map, row);
    float sum_e = 0.0F;
    float sum_product = 0.0F;
    for (int vector = lane; vector < map.vectors; vector += 32) {
      held.read(arrays, map, row, place.at(map, vector), vector, 0);
      sum_e += tokens::total(held.e[0]);
      sum_product += tokens::total(tokens::times(held.e[0], held.t[0]));
    }
    held.close(share, sum_e, sum_product);
    for (int vector = lane; vector < map.vectors; vector += 32) {
      held.read(arrays, map, row, place.at(map, vector), vector, 0);
      held.gradient.put(arrays, place.at(map, vector), held.e[0], held.t[0]);
    }
  }
}

/// Sums of channels over the rows of a part, 128 channels a block.
template <bool kMerge>
__global__ void __launch_bounds__(tokens::kThreads)
    layer_norm_columns_kernel(const LayerNormBackward arrays, float* __restrict__ parts, RowMap map) {
  __shared__ float4 met[tokens::kSums][tokens::kWarps][32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int vector = static_cast<int>(blockIdx.x) * 32 + lane;
  float4 sums[tokens::kSums] = {};
  if (vector < map.vectors) {
    const long long stride = static_cast<long long>(gridDim.y) * tokens::kWarps;
    for (long long row = static_cast<long long>(blockIdx.y) * tokens::kWarps + warp; row < map.rows; row += stride) {
      const long long place = RowPlace<kMerge>(map, row).at(map, vector);
      const float4 t = normalised(fours(arrays.sum)[place], arrays.mean[row], arrays.inverse_deviation[row]);
      const float4 arriving = arriving_at(arrays, row * map.vectors + vector);
      sums[0] = tokens::plus(sums[0], tokens::times(arriving, t));
      sums[1] = tokens::plus(sums[1], arriving);
      if (arrays.to_bias != nullptr) {
        const float4 to_sum = fours(arrays.to_sum)[place];
        sums[2] = tokens::plus(sums[2], tokens::times(factor_of(arrays.factors, map, row), to_sum));
      }
    }
  }
#pragma unroll
  for (int s = 0; s < tokens::kSums; ++s) {
    met[s][warp][lane] = sums[s];
  }
  __syncthreads();
  if (warp < tokens::kSums && vector < map.vectors) {
    float4 all = met[warp][0][lane];
    for (int other = 1; other < tokens::kWarps; ++other) {
      all = tokens::plus(all, met[warp][other][lane]);
    }
    fours(parts)[(static_cast<long long>(blockIdx.y) * tokens::kSums + warp) * map.vectors + vector] = all;
  }
}

}  // namespace regatta::kernels
