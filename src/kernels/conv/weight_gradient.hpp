// Sizes of the weight gradients (weight_gradient.cuh, fold_weights.cuh, thin_weights.cuh).
#pragma once

#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// `in`: 8, 16 or 32 channels; a group has warps_channels x tiles x 8 output channels. A warp owns one kz, 16 input
/// channels, `tiles` x 8 output channels and, of the tile, `rows` rows of 16 voxels.
struct WeightShape {
  int in = 16;
  int tiles = 2;
  int warps_channels = 1;
  int rows = 8;
  int warps_y = 1;
  int warps_x = 1;
  int stages = 2;
  int blocks = 1;
  bool quads = false;  // the gradient has 4 channels in memory; the tile, 8
};

template <WeightShape kShape_>
struct WeightForm {
  static constexpr WeightShape kShape = kShape_;
  using S = Steps<kShape.in>;
  static constexpr int kIn = kShape.in;
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kShifts = S::kShifts;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = kShape.warps_x * 16;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  static constexpr int kRoles = kTaps * S::kSixteens * kShape.warps_channels;
  static constexpr int kSharers = kShape.warps_y * kShape.warps_x;  // warps of one role
  static constexpr int kThreads = kRoles * kSharers * 32;
  static constexpr int kBlocks = kShape.blocks;

  using Input = Tile<kIn, kHeight + 2, kWidth + (S::kPaired ? 3 : 2)>;
  using Gradient = Tile<kOut, kHeight, kWidth>;
  static constexpr int kStages = kShape.stages;
  static constexpr int kGradientStages = kStages + 2;
  static constexpr int kGradientAt = kStages * Input::kBytes;
  static constexpr int kTableAt = kGradientAt + kGradientStages * Gradient::kBytes;
  static constexpr int kRing = kTableAt + (Input::kEntries + Gradient::kEntries) * kTableEntryBytes;

  static constexpr int kSums = (kTaps * kShifts + 1) * kTiles * 4;  // a thread's, bias last
  static constexpr int kMerge = kRoles * kSums * 32 * 4;
  static constexpr int kSharedBytes = kSharers > 1 && kMerge > kRing ? kMerge : kRing;

  static constexpr int kMatrixRows = kTaps * kTaps * kShifts * S::kSixteens * 16;
  static constexpr int kValues = (kMatrixRows + 1) * kOut;  // of a block; the last row is the bias
};

}  // namespace regatta::kernels::conv
