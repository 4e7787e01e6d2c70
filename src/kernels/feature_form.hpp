// Sizes of features [N, D, H, W, C] as the kernels of this layer count them: vectors of 8 channels, 16 bytes. No CUDA
// header.
#pragma once

#include <algorithm>
#include <cstdint>

#include "regatta/kernels/instance_norm.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Whether indexes within a plane fit into 31 bits, and planes and samples into the axes of a grid.
inline bool is_feature_size(const VolumeSize& size, int channels) {
  constexpr std::int64_t kMostOfGrid = 65535;
  constexpr std::int64_t kMostOfPlane = std::int64_t{1} << 31;
  return channels > 0 && channels % 8 == 0 && size.n > 0 && size.d > 0 && size.h > 0 && size.w > 0 &&
         size.n <= kMostOfGrid && size.d <= kMostOfGrid && size.h < kMostOfPlane && size.w < kMostOfPlane &&
         size.h * size.w < kMostOfPlane / (channels / 8);
}

namespace instance_norm {

constexpr int kMostThreads = 384;  ///< a multiple of the vectors of a voxel for all usual channel counts
constexpr int kBlocks = 3;         ///< on a multiprocessor
constexpr int kValues = 16;        ///< of a vector: two sums for each channel
constexpr int kMostChannels = 1024;

/// A block has whole voxels, so a thread keeps its channels.
inline int threads(int groups) {
  return groups * (kMostThreads / groups);
}

/// Of one sample: a vector at least for each thread.
inline int blocks(const InstanceNormShape& shape, const Capability& chip) {
  const int groups = shape.channels / 8;
  const std::int64_t needed = (shape.size.voxels() * groups + threads(groups) - 1) / threads(groups);
  return static_cast<int>(std::min<std::int64_t>(needed, static_cast<std::int64_t>(chip.multiprocessors) * kBlocks));
}

}  // namespace instance_norm
}  // namespace regatta::kernels
