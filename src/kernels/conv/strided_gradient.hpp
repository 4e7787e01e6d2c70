// Sizes of the data gradient of stride 2 (strided_gradient.cuh).
#pragma once

#include "kernels/conv/march.hpp"
#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// `in`: 16, 32 or 64 channels of the output's gradient. A warp owns `rows` rows of 16 of its voxels, which are 2 x
/// rows rows of 32 voxels of two planes of the input's gradient, and `tiles` x 8 channels of that.
struct StridedGradientShape {
  int in = 64;
  int tiles = 2;
  int warps_channels = 2;
  int rows = 2;
  int warps_y = 4;
  int warps_x = 1;
  int blocks = 1;
};

template <StridedGradientShape kShape_>
struct StridedGradient {
  static constexpr StridedGradientShape kShape = kShape_;
  static constexpr MarchKey kKey = {.first = kShape.in, .epilogue = Epilogue::kMask, .prelu = true};
  static constexpr int kIn = kShape.in;
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kSixteens = kIn / 16;
  static constexpr int kHeight = kShape.warps_y * kRows;  // of the output's gradient
  static constexpr int kWidth = kShape.warps_x * 16;
  static constexpr int kThreads = kShape.warps_channels * kShape.warps_y * kShape.warps_x * 32;
  static constexpr int kBlocks = kShape.blocks;
  static constexpr int kSpread = 2;  // a warp's voxels of one parity are two apart
  static constexpr int kParities = 4;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;  // channels of a group

  using Input = Tile<kIn, kHeight + 1, kWidth + 1>;
  static constexpr int kSlots = 3;  // two planes are read while one is on its way
  static constexpr int kTapBytes = kShape.warps_channels * 32 * kTiles * 8;
  static constexpr int kWeightBytes = wide_tap_count(kIn, kTaps) * kTapBytes;
  static constexpr int kSlotAt = round_up(kWeightBytes, kTileAlignment);
  static constexpr int kTableAt = kSlotAt + kSlots * Input::kBytes;
  static constexpr int kSharedBytes = kTableAt + Input::kEntries * kTableEntryBytes;
};

}  // namespace regatta::kernels::conv
