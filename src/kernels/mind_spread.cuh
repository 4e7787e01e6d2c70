// From derivatives with respect to distances back through the averages to the neighbours, and from there to the voxels.
#pragma once

#include "kernels/mind.cuh"

namespace regatta::kernels::self_similarity {

/// How often a sum at `centre` counts a position: more than once at the border, for those moved there.
template <int kRadius>
__device__ __forceinline__ float times_counted(int centre, int position, int length) {
  if (centre < 0 || centre >= length) {
    return 0.0F;
  }
  return 1.0F + (position == 0 ? static_cast<float>(kRadius - centre) : 0.0F) +
         (position == length - 1 ? static_cast<float>(kRadius - (length - 1 - centre)) : 0.0F);
}

/// Sums along W of the derivatives of a plane; a thread's two columns, weights [column][offset].
template <int kRadius>
__device__ __forceinline__ void sum_slopes_along_w(const float* slopes, const Shape& shape, const Tile& tile, int z,
                                                   const float (&weights)[kPair][2 * kRadius + 1],
                                                   RowSums<kRadius>& sums) {
  const int row = static_cast<int>(threadIdx.x) / kGroups;
  const int group = static_cast<int>(threadIdx.x) % kGroups;
  if (row >= kRows + 2 * kRadius) {
    return;
  }
  const int y = tile.y0 - kRadius + row;
  const int left = tile.x0 - kRadius + group * kPair;
  const bool exists = z >= 0 && z < shape.d && y >= 0 && y < shape.h;
  const float* from = slopes + tile.base + static_cast<long long>(z) * shape.plane + y * shape.w + left;
#pragma unroll 4
  for (int c = 0; c < kChannels; ++c, from += shape.stride) {
    float two[kPair] = {};
#pragma unroll
    for (int i = 0; i < 2 * kRadius + kPair; ++i) {
      const float slope = exists && left + i >= 0 && left + i < shape.w ? __ldg(from + i) : 0.0F;
#pragma unroll
      for (int o = 0; o < kPair; ++o) {
        if (i >= o && i - o <= 2 * kRadius) {
          two[o] = fmaf(weights[o][i - o], slope, two[o]);
        }
      }
    }
    sums.of[c][row][group] = make_float2(two[0], two[1]);
  }
}

/// @param slopes    derivatives with respect to distances
/// @param to_sides  [6, n, d, h, w]: those with respect to what the neighbours see
template <int kRadius>
__global__ void __launch_bounds__(kMindThreads)
    mind_spread_kernel(const float* __restrict__ image, Shape shape, int dilation, const float* __restrict__ slopes,
                       float* __restrict__ to_sides) {
  extern __shared__ float4 mind_shared[];
  auto& sums = *reinterpret_cast<RowSums<kRadius>*>(mind_shared);
  const Tile tile(shape);
  constexpr int kWindow = 2 * kRadius + 1;
  constexpr float kShare = 2.0F / (kWindow * kWindow * kWindow);
  const int column = static_cast<int>(threadIdx.x) % kColumns;
  const int row = static_cast<int>(threadIdx.x) / kColumns;
  const int x = tile.x0 + column;
  const int y = tile.y0 + row;
  float along_w[kPair][kWindow];
  float along_h[kWindow];
#pragma unroll
  for (int i = 0; i < kWindow; ++i) {
    const int first = tile.x0 + static_cast<int>(threadIdx.x) % kGroups * kPair;
#pragma unroll
    for (int o = 0; o < kPair; ++o) {
      along_w[o][i] = times_counted<kRadius>(first + o - kRadius + i, first + o, shape.w);
    }
    along_h[i] = times_counted<kRadius>(y - kRadius + i, y, shape.h);
  }
  OpenSums<kRadius> open;
#pragma unroll 1
  for (int z = tile.z0 - kRadius; z < tile.end + kRadius; ++z) {
    __syncthreads();
    sum_slopes_along_w<kRadius>(slopes, shape, tile, z, along_w, sums);
    __syncthreads();
    const int done = z - kRadius;
    const bool finishes = done >= tile.z0 && x < shape.w && y < shape.h;
    float seen[kSides];
    float to[kSides];
    const float* volume = image + tile.base;
    const int here = y * shape.w + x;
#pragma unroll
    for (int side = 0; side < kSides; ++side) {
      const int step = side % 2 == 0 ? -dilation : dilation;
      const int at_z = side / 2 == 0 ? held(done + step, shape.d) : done;
      const int at_y = side / 2 == 1 ? held(y + step, shape.h) - y : 0;
      const int at_x = side / 2 == 2 ? held(x + step, shape.w) - x : 0;
      seen[side] =
          finishes ? __ldg(volume + static_cast<long long>(at_z) * shape.plane + here + at_y * shape.w + at_x) : 0.0F;
      to[side] = 0.0F;
    }
    float along_d[kWindow];
#pragma unroll
    for (int k = 0; k < kWindow; ++k) {
      along_d[k] = times_counted<kRadius>(z, done + k, shape.d);
    }
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const float* from = reinterpret_cast<const float*>(&sums.of[c][row][0]) + column;
      float sum = 0.0F;
#pragma unroll
      for (int i = 0; i < kWindow; ++i) {
        sum = fmaf(along_h[i], from[i * kColumns], sum);
      }
      const float to_square = kShare * fmaf(along_d[0], sum, open.of[c][0]);
#pragma unroll
      for (int k = 1; k < 2 * kRadius; ++k) {
        open.of[c][k - 1] = fmaf(along_d[k], sum, open.of[c][k]);
      }
      open.of[c][2 * kRadius - 1] = along_d[2 * kRadius] * sum;
      const float slope = to_square * (seen[mind_first(c)] - seen[mind_second(c)]);
      to[mind_first(c)] += slope;
      to[mind_second(c)] -= slope;
    }
    if (finishes) {
#pragma unroll
      for (int side = 0; side < kSides; ++side) {
        to_sides[side * shape.stride + tile.base + static_cast<long long>(done) * shape.plane + here] = to[side];
      }
    }
  }
}

/// Sum over the positions whose neighbour along an axis is here.
/// @param from   here, of the neighbours at lower or (up) higher indexes
/// @param index  along the axis, of `length`, `step` voxels apart
__device__ __forceinline__ float gather_side(const float* from, int index, int length, int step, int dilation,
                                             bool up) {
  const int away = up ? length - 1 - index : index;  // from the border at which positions end that are moved
  const int back = up ? -step : step;
  const int most = up ? index : length - 1 - index;  // steps back that stay inside
  const int last = min(dilation, most);
  float sum = 0.0F;
  for (int k = away == 0 ? 0 : dilation; k <= last; ++k) {
    sum += __ldg(from + k * back);
  }
  return sum;
}

__global__ void __launch_bounds__(kMindVoxels)
    mind_gather_kernel(const float* __restrict__ to_sides, Shape shape, int dilation, float* __restrict__ to_image) {
  const long long i = static_cast<long long>(blockIdx.x) * kMindVoxels + threadIdx.x;
  if (i >= shape.voxels) {
    return;
  }
  const int in_volume = static_cast<int>(i);
  const int z = in_volume / shape.plane;
  const int y = in_volume % shape.plane / shape.w;
  const int x = in_volume % shape.w;
  const long long at = blockIdx.y * shape.voxels + i;
  float sum = 0.0F;
#pragma unroll
  for (int side = 0; side < kSides; ++side) {
    const float* from = to_sides + side * shape.stride + at;
    const bool up = side % 2 == 1;
    sum += side / 2 == 0   ? gather_side(from, z, shape.d, shape.plane, dilation, up)
           : side / 2 == 1 ? gather_side(from, y, shape.h, shape.w, dilation, up)
                           : gather_side(from, x, shape.w, 1, dilation, up);
  }
  to_image[at] = sum;
}

}  // namespace regatta::kernels::self_similarity
