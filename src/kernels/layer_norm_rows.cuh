// What both passes of layer_norm.cu know of rows.
#pragma once

#include "kernels/tokens.cuh"
#include "regatta/kernels/layer_norm.hpp"

namespace regatta::kernels {

struct RowMap {
  long long rows;
  long long rows_of_sample;
  int vectors;        ///< of four channels, in a row
  int token_vectors;  ///< in a token
  int d, h, w;        ///< half the grid, for merging
};

/// Where the vectors of one row lie: as they are, or eight tokens.
template <bool kMerge>
struct RowPlace {
  long long first;  ///< vector of the row, or of its first token

  __device__ __forceinline__ RowPlace(const RowMap& map, long long row) {
    if constexpr (kMerge) {
      const long long line = row / map.w;
      const long long plane = line / map.h;
      const long long token =
          (2 * plane * 2 * map.h + 2 * (line - plane * map.h)) * 2 * map.w + 2 * (row - line * map.w);
      first = token * map.token_vectors;
    } else {
      first = row * map.vectors;
    }
  }

  __device__ __forceinline__ long long at(const RowMap& map, int vector) const {
    if constexpr (kMerge) {
      const int octant = vector / map.token_vectors;
      const int d = 0xd2 >> octant & 1;  // 1, 4, 6, 7
      const int h = 0xb4 >> octant & 1;  // 2, 4, 5, 7
      const int w = 0xe8 >> octant & 1;  // 3, 5, 6, 7
      const long long tokens = (static_cast<long long>(d) * 2 * map.h + h) * 2 * map.w + w;
      return first + tokens * map.token_vectors + (vector - octant * map.token_vectors);
    } else {
      return first + vector;
    }
  }
};

__device__ __forceinline__ const float4* fours(const float* values) {
  return reinterpret_cast<const float4*>(values);
}

__device__ __forceinline__ float4* fours(float* values) {
  return reinterpret_cast<float4*>(values);
}

__device__ __forceinline__ float factor_of(const float* factors, const RowMap& map, long long row) {
  return factors == nullptr ? 1.0F : factors[row / map.rows_of_sample];
}

__device__ __forceinline__ float4 centred(const float4& v, float mean) {
  return {v.x - mean, v.y - mean, v.z - mean, v.w - mean};
}

}  // namespace regatta::kernels
