// How work over tokens is cut, for those who launch it and for the scratch it needs. No CUDA header.
#pragma once

#include <algorithm>
#include <cstdint>

#include "regatta/kernels/device.hpp"

namespace regatta::kernels::tokens {

constexpr int kWarps = 8;  ///< of a block; a row is a warp's
constexpr int kMostRowChannels = 8192;
constexpr int kMostHeldChannels = 768;  ///< of a row that a warp of the backward pass holds, with the sums of channels
constexpr int kBackwardBlocks = 3;      ///< on a multiprocessor
constexpr int kChunk = 128;             ///< channels that a block of column sums has, in vectors of 4
constexpr int kSums = 3;                ///< of a channel: weight, shift, bias

/// Blocks of a backward pass that adds up over rows; as many parts of each sum.
inline int backward_blocks(std::int64_t rows, const Capability& chip) {
  const std::int64_t needed = (rows + kWarps - 1) / kWarps;
  return static_cast<int>(std::min<std::int64_t>(needed, std::int64_t{chip.multiprocessors} * kBackwardBlocks));
}

/// Parts of the rows for column sums: about four blocks for each multiprocessor over all chunks of channels.
inline int column_parts(std::int64_t rows, int channels, int of_chunk, const Capability& chip) {
  const int chunks = (channels + of_chunk - 1) / of_chunk;
  const std::int64_t wanted = std::max(1, 4 * chip.multiprocessors / chunks);
  return static_cast<int>(std::min<std::int64_t>((rows + kWarps - 1) / kWarps, wanted));
}

}  // namespace regatta::kernels::tokens
