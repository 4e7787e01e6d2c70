// How the kernels of image differences cut a batch.
#pragma once

#include <cstdint>

#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

constexpr int kDifferenceThreads = 256;
constexpr int kDifferenceEach = 16;  ///< voxels a thread

inline std::int64_t difference_blocks(const VolumeSize& size) {
  constexpr std::int64_t kOfBlock = std::int64_t{kDifferenceThreads} * kDifferenceEach;
  return (size.all() + kOfBlock - 1) / kOfBlock;
}

}  // namespace regatta::kernels
