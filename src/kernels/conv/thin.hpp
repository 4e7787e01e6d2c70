// Sizes of what reads the raw images, 2 channels: the first layer of stride 2, and weight gradients.
#pragma once

#include "kernels/conv/march.hpp"
#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

struct ThinForwardShape {
  int tiles = 2;
  int warps_channels = 1;
  int rows = 4;
  int warps_y = 2;
  int warps_x = 2;
  int blocks = 4;
};

/// Stride 2. All of a block's weights are in registers; three planes of the input are in use, two on their way.
template <ThinForwardShape kShape_>
struct ThinForward {
  static constexpr ThinForwardShape kShape = kShape_;
  static constexpr MarchKey kKey = {.thin = 2, .epilogue = Epilogue::kActivate};
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = kShape.warps_x * 16;
  static constexpr int kThreads = kShape.warps_channels * kShape.warps_y * kShape.warps_x * 32;
  static constexpr int kBlocks = kShape.blocks;
  static constexpr int kSpread = 1;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  using Input = ThinTile<2, 2 * kHeight + 1, 2 * kWidth + 2>;
  static constexpr int kSlots = 5;
  static constexpr int kTapBytes = kShape.warps_channels * 32 * kTiles * 8;
  static constexpr int kWeightBytes = thin_tap_count(2) * kTapBytes;
  static constexpr int kTableAt = kSlots * Input::kBytes;
  static constexpr int kSharedBytes = kTableAt + Input::kEntries * kTableEntryBytes;
};

struct ThinWeightShape {
  int out = 16;  // channels of the gradient: 8 or a multiple of 16
  int stride = 1;
  int rows = 4;
  int warps_y = 4;
  int warps_x = 2;
  int blocks = 2;
};

template <ThinWeightShape kShape_>
struct ThinWeights {
  static constexpr ThinWeightShape kShape = kShape_;
  static constexpr int kStride = kShape.stride;
  static constexpr int kRows = kShape.rows;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = kShape.warps_x * 16;
  static constexpr int kOut = kShape.out;
  static constexpr int kSixteens = (kOut + 8) / 16;
  static constexpr int kSharers = kShape.warps_y * kShape.warps_x;
  static constexpr int kThreads = kSharers * 32;
  static constexpr int kBlocks = kShape.blocks;
  // 16 voxels along x and kx up to 3, the last being there for its zero weight's sake
  using Input = ThinTile<2, kStride*(kHeight - 1) + 3, kStride*(kWidth - 1) + 4>;
  using Gradient = Tile<kOut, kHeight, kWidth>;
  static constexpr int kInputSlots = 3 + kStride;
  static constexpr int kGradientSlots = 2;
  static constexpr int kGradientAt = kInputSlots * Input::kBytes;
  static constexpr int kTableAt = kGradientAt + kGradientSlots * Gradient::kBytes;
  static constexpr int kRing = kTableAt + (Input::kEntries + Gradient::kEntries) * kTableEntryBytes;
  static constexpr int kSums = (kTaps * kTaps + 1) * kSixteens * 4;  // a thread's, bias last
  static constexpr int kMerge = kSums * 32 * 4;
  static constexpr int kSharedBytes = kMerge > kRing ? kMerge : kRing;
  static constexpr int kColumns = 8;  // (kx, channel)
  static constexpr int kMatrixRows = kTaps * kTaps * kColumns;
  static constexpr int kValues = (kMatrixRows + 1) * kOut;
};

}  // namespace regatta::kernels::conv
