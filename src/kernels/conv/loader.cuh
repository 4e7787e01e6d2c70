// Planes of a column on their way into shared memory, and how the columns are shared out among blocks.
//
// A table in shared memory, filled once a column, says for each voxel of a tile where it lies in its plane (or -1:
// outside, zero) and where it goes in the tile. Interior voxels come first, so that copies of a warp are aligned
// 128-byte lines.
#pragma once

#include <cstdint>

#include "kernels/conv/ptx.cuh"
#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// Block b of G takes [total b / G, total (b + 1) / G) of all (column, z) pairs: equal shares at any size, and at most
/// one restart of a column more than needed.
struct Shares {
  long long at;
  long long end;
  int depth;

  __device__ Shares(long long columns, int planes)
      : at(columns * planes * blockIdx.x / gridDim.x),
        end(columns * planes * (blockIdx.x + 1) / gridDim.x),
        depth(planes) {}

  /// The next run of planes [begin, end) of one column.
  __device__ bool next(long long& column, int& begin, int& finish) {
    if (at >= end) {
      return false;
    }
    column = at / depth;
    begin = static_cast<int>(at % depth);
    finish = static_cast<int>(min(static_cast<long long>(depth), begin + end - at));
    at += finish - begin;
    return true;
  }
};

struct Column {
  long long n;
  int y;
  int x;
};

/// Columns of kHeight x kWidth voxels, x fastest.
template <int kHeight, int kWidth>
struct Columns {
  int across;
  int down;

  __device__ Columns(int H, int W) : across((W + kWidth - 1) / kWidth), down((H + kHeight - 1) / kHeight) {}
  __device__ long long count(long long N) const { return N * across * down; }
  __device__ Column at(long long index) const {
    const long long row = index / across;
    return {row / down, static_cast<int>(row % down) * kHeight, static_cast<int>(index % across) * kWidth};
  }
};

/// For tiles whose first voxel is (y0 - kHalo, x0 - kHalo) of a plane of H x W voxels. kUp: the plane is read through
/// nearest x2 up-sampling, H and W being the sizes after it.
template <class Tile, int kInterior, int kHalo, bool kUp, int kThreads>
__device__ __forceinline__ void fill_table(int2* table, int y0, int x0, int H, int W, int voxel_bytes) {
  constexpr int kInside = Tile::kHeight * kInterior;
  constexpr int kBorder = Tile::kWidth - kInterior > 0 ? Tile::kWidth - kInterior : 1;
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kEntries; i += kThreads) {
    int row = i / kInterior;
    int x = kHalo + i % kInterior;
    if (i >= kInside) {
      row = (i - kInside) / kBorder;
      const int border = (i - kInside) % kBorder;
      x = border < kHalo ? border : kInterior + border;
    }
    const int from_y = y0 - kHalo + row;
    const int from_x = x0 - kHalo + x;
    const bool inside = from_y >= 0 && from_y < H && from_x >= 0 && from_x < W;
    const int voxel = kUp ? (from_y >> 1) * (W >> 1) + (from_x >> 1) : from_y * W + from_x;
    table[i] = make_int2(inside ? voxel * voxel_bytes : -1, Tile::row_offset(row, x));
  }
}

/// Queues the copies of one plane, kCopy bytes at a time. `plane` is the plane's first voxel; not `real`: zeros.
template <class Tile, int kThreads, int kCopy = 16>
__device__ __forceinline__ void load_plane(const std::uint8_t* plane, const int2* table, std::uint32_t tile,
                                           bool real = true) {
  if constexpr (kCopy == 16) {
    static_assert(kThreads % Tile::kChunks == 0);
    const int chunk = (static_cast<int>(threadIdx.x) % Tile::kChunks) << 4;
    plane += chunk;
#pragma unroll 2
    for (int i = static_cast<int>(threadIdx.x) / Tile::kChunks; i < Tile::kEntries; i += kThreads / Tile::kChunks) {
      const int2 entry = table[i];
      const bool inside = real && entry.x >= 0;
      copy_async<16>(tile + (entry.y ^ chunk), plane + (inside ? entry.x : 0), inside ? 16 : 0);
    }
  } else {
#pragma unroll 2
    for (int i = static_cast<int>(threadIdx.x); i < Tile::kEntries; i += kThreads) {
      const int2 entry = table[i];
      const bool inside = real && entry.x >= 0;
      copy_async<kCopy>(tile + entry.y, plane + (inside ? entry.x : 0), inside ? kCopy : 0);
    }
  }
}

__device__ __forceinline__ void zero_shared(std::uint8_t* shared, int bytes, int threads) {
  for (int i = static_cast<int>(threadIdx.x); i < bytes / 16; i += threads) {
    reinterpret_cast<uint4*>(shared)[i] = make_uint4(0, 0, 0, 0);
  }
}

}  // namespace regatta::kernels::conv
