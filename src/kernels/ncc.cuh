// What the two NCC passes share: the walk over tiles, and sums along x.
#pragma once

#include "kernels/launch.cuh"
#include "kernels/ncc_form.hpp"

namespace regatta::kernels {

constexpr unsigned kAllLanes = 0xffffffffU;

/// The image as the kernels see it.
struct NccShape {
  int n, d, h, w;
  int tiles_x, tiles_y;

  __host__ __device__ long long columns() const { return static_cast<long long>(n) * tiles_x * tiles_y; }
  __host__ __device__ long long plane() const { return static_cast<long long>(h) * w; }
  __device__ long long voxels() const { return plane() * d; }
};

inline NccShape ncc_shape(const VolumeSize& size, const NccTile& tile) {
  return {static_cast<int>(size.n),
          static_cast<int>(size.d),
          static_cast<int>(size.h),
          static_cast<int>(size.w),
          static_cast<int>(divide_up(size.w, tile.columns)),
          static_cast<int>(divide_up(size.h, tile.rows))};
}

/// Planes z0 .. z1 - 1 of one column of tiles; the blocks share (column, plane) pairs evenly.
struct NccRun {
  long long base;  ///< first voxel of the volume
  int x0, y0;      ///< first voxel that the tile writes
  int z0, z1;
};

__device__ __forceinline__ long long first_pair(const NccShape& shape, unsigned block) {
  return shape.columns() * shape.d * block / gridDim.x;
}

__device__ __forceinline__ NccRun ncc_run(const NccShape& shape, const NccTile& tile, long long at, long long end) {
  const long long column = at / shape.d;
  const int tiles = shape.tiles_x * shape.tiles_y;
  const int in_volume = static_cast<int>(column % tiles);
  NccRun run;
  run.base = column / tiles * shape.voxels();
  run.x0 = in_volume % shape.tiles_x * tile.columns;
  run.y0 = in_volume / shape.tiles_x * tile.rows;
  run.z0 = static_cast<int>(at % shape.d);
  run.z1 = static_cast<int>(min(static_cast<long long>(shape.d), run.z0 + (end - at)));
  return run;
}

/// Sums of the 2 radius + 1 columns around each of a lane's two, from the warp's pairs. Right in lanes whose neighbours
/// up to (radius + 1) / 2 away exist.
template <int kRadius, class T>
__device__ __forceinline__ void sum_along_x(T first, T second, T& around_first, T& around_second) {
  constexpr int kFar = (kRadius + 1) / 2;  // lanes
  constexpr bool kEven = kRadius % 2 == 0;
  const T pair = first + second;
  T both = pair;
#pragma unroll
  for (int lanes = 1; lanes < kFar; ++lanes) {
    both += __shfl_up_sync(kAllLanes, pair, lanes) + __shfl_down_sync(kAllLanes, pair, lanes);
  }
  const T left = __shfl_up_sync(kAllLanes, second, kFar);
  const T right = __shfl_down_sync(kAllLanes, first, kFar);
  if constexpr (kEven) {
    both += left + right;
    around_first = both + __shfl_up_sync(kAllLanes, first, kFar);
    around_second = both + __shfl_down_sync(kAllLanes, second, kFar);
  } else {
    around_first = both + left;
    around_second = both + right;
  }
}

}  // namespace regatta::kernels
