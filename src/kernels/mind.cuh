// What the filters of MIND-SSC share: they march along D, a tile of planes a block, and sum up planes along W and H
// through shared memory.
#pragma once

#include "kernels/mind_form.hpp"
#include "kernels/reduce.cuh"

namespace regatta::kernels::self_similarity {

constexpr int kChannels = kMindChannels;
constexpr int kSides = 6;  ///< neighbours: two an axis, the lower one first
constexpr int kColumns = kMindColumns;
constexpr int kRows = kMindRows;
constexpr int kPair = 2;  ///< neighbours along W that a thread sums up
constexpr int kGroups = kColumns / kPair;
static_assert(kRows * kColumns == kMindThreads);

struct Shape {
  int d, h, w;
  int chunks;  ///< of planes in a volume
  int plane;
  long long voxels;
  long long stride;  ///< between channels: voxels of the batch
};

/// Where a block stands.
struct Tile {
  int x0, y0, z0, end;
  long long base;  ///< of the volume in the batch

  __device__ __forceinline__ explicit Tile(const Shape& shape) {
    x0 = static_cast<int>(blockIdx.x) * kColumns;
    y0 = static_cast<int>(blockIdx.y) * kRows;
    z0 = static_cast<int>(blockIdx.z) % shape.chunks * kMindPlanes;
    end = min(z0 + kMindPlanes, shape.d);
    base = static_cast<int>(blockIdx.z) / shape.chunks * shape.voxels;
  }
};

__device__ __forceinline__ int held(int index, int length) {
  return min(max(index, 0), length - 1);
}

/// Sums along W of a plane's rows: [channel][row][column].
template <int kRadius>
struct RowSums {
  float2 of[kChannels][kRows + 2 * kRadius][kGroups];
};

/// What later planes' sums along D hold so far, of a thread's voxel.
template <int kRadius>
struct OpenSums {
  float of[kChannels][2 * kRadius];

  __device__ __forceinline__ OpenSums() {
#pragma unroll
    for (int i = 0; i < kChannels * 2 * kRadius; ++i) {
      of[i / (2 * kRadius)][i % (2 * kRadius)] = 0.0F;
    }
  }
};

}  // namespace regatta::kernels::self_similarity
