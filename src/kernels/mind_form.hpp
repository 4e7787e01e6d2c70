// What the device's and the reference's MIND-SSC share: channels and bounds, and how kernels cut a volume.
#pragma once

#include <algorithm>
#include <cstdint>

#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

constexpr int kMindChannels = 12;
constexpr double kMindLowest = 0.001;
constexpr double kMindHighest = 1000.0;
constexpr double kMindFlat = 1e-12;

/// A channel's two neighbours: axis 0 .. 2 is D, H, W; up: towards higher indexes.
struct MindNeighbours {
  int first_axis;
  int second_axis;
  bool first_up;
  bool second_up;
};

constexpr MindNeighbours mind_channel(int channel) {
  const int axes = channel / 4;
  return {axes == 2 ? 1 : 0, axes == 0 ? 1 : 2, (channel & 2) != 0, (channel & 1) != 0};
}

/// Index 0 .. 5 of a channel's neighbours: two an axis, the lower one first.
constexpr int mind_first(int channel) {
  const MindNeighbours pair = mind_channel(channel);
  return 2 * pair.first_axis + (pair.first_up ? 1 : 0);
}

constexpr int mind_second(int channel) {
  const MindNeighbours pair = mind_channel(channel);
  return 2 * pair.second_axis + (pair.second_up ? 1 : 0);
}

// A block of the filters has a column of tiles along D.
constexpr int kMindThreads = 512;
constexpr int kMindColumns = 32;
constexpr int kMindRows = 16;
constexpr int kMindPlanes = 54;
constexpr int kMindVoxels = 512;  ///< a block of the voxel by voxel kernels

struct MindGrid {
  std::int64_t x, y, z;
};

/// z: volume by volume.
constexpr MindGrid mind_grid(const VolumeSize& size) {
  return {(size.w + kMindColumns - 1) / kMindColumns, (size.h + kMindRows - 1) / kMindRows,
          size.n * ((size.d + kMindPlanes - 1) / kMindPlanes)};
}

/// Blocks of the filters for one volume.
constexpr std::int64_t mind_blocks_of_volume(const VolumeSize& size) {
  const MindGrid grid = mind_grid(size);
  return grid.x * grid.y * (grid.z / size.n);
}

/// Blocks of a volume, voxel by voxel.
inline std::int64_t mind_flat_blocks(const VolumeSize& size) {
  return (size.voxels() + kMindVoxels - 1) / kMindVoxels;
}

/// Sums of blocks that lie in the scratch at a time.
inline std::int64_t mind_part_count(const VolumeSize& size) {
  return size.n * std::max(2 * mind_blocks_of_volume(size), mind_flat_blocks(size));
}

}  // namespace regatta::kernels
