// Sizes of the launches of activation.cu. No CUDA header.
#pragma once

#include "regatta/kernels/activation.hpp"

namespace regatta::kernels::activation {

constexpr int kMostThreads = 256;
constexpr int kMostChannels = 8 * kMostThreads;
constexpr int kBlocks = 6;     ///< on a multiprocessor
constexpr int kSumBlocks = 4;  ///< likewise, of what sums

/// A block has whole voxels, so a thread keeps its channels.
inline int threads(int channels) {
  const int groups = channels / 8;
  return groups * (kMostThreads / groups);
}

inline int sum_blocks(const Capability& chip) {
  return chip.multiprocessors * kSumBlocks;
}

}  // namespace regatta::kernels::activation
