// Sizes of the weight gradients (weight_gradient.cuh, fold_weights.cuh, thin_weights.cuh).
#pragma once

#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// `in`: 8, 16, 32 or 64 channels; a group has warps_channels x tiles x 8 output channels. A warp owns one kz, 16 input
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
  int edge = kTaps;    // of the kernel
};

template <WeightShape kShape_>
struct WeightForm {
  static constexpr WeightShape kShape = kShape_;
  static constexpr int kEdge = kShape.edge;
  static constexpr int kReach = kEdge / 2;
  using S = Steps<kShape.in, kEdge>;
  static constexpr int kIn = kShape.in;
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kShifts = S::kShifts;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = kShape.warps_x * 16;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  static constexpr int kRoles = kEdge * S::kSixteens * kShape.warps_channels;
  static constexpr int kSharers = kShape.warps_y * kShape.warps_x;  // warps of one role
  static constexpr int kThreads = kRoles * kSharers * 32;
  static constexpr int kBlocks = kShape.blocks;

  using Input = Tile<kIn, kHeight + kEdge - 1, kWidth + kEdge - (S::kPaired ? 0 : 1)>;
  using Gradient = Tile<kOut, kHeight, kWidth>;
  static constexpr int kStages = kShape.stages;
  static constexpr int kGradientStages = kStages + kEdge - 1;
  static constexpr int kGradientAt = kStages * Input::kBytes;
  static constexpr int kTableAt = kGradientAt + kGradientStages * Gradient::kBytes;
  static constexpr int kRing = kTableAt + (Input::kEntries + Gradient::kEntries) * kTableEntryBytes;

  // Small kernels sum the bias by matrix instructions, large ones by additions: three registers less.
  static constexpr int kBiasSums = kEdge == kTaps ? 4 : 1;
  static constexpr int kSums = (kEdge * kShifts * 4 + kBiasSums) * kTiles;  // a thread's, bias last
  static constexpr int kMerge = kRoles * kSums * 32 * 4;
  static constexpr int kSharedBytes = kSharers > 1 && kMerge > kRing ? kMerge : kRing;

  static constexpr int kMatrixRows = kEdge * kEdge * kShifts * S::kSixteens * 16;
  static constexpr int kValues = (kMatrixRows + 1) * kOut;  // of a block; the last row is the bias
};

}  // namespace regatta::kernels::conv
