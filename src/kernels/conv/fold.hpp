// Sizes of the gradients of an input that is read through nearest x2 up-sampling (fold.cuh, fold_weights.cuh).
//
// The output's gradient is first summed over 2x2x2 neighbours: s[j] = sum over c in {0,1}^3 of g[j - 1 + c], j = 0 ..
// 2D along each axis, zero outside. With it both gradients are convolutions on the input's own grid, 27 taps on an
// eighth of the voxels instead of on all: dx[l] = sum over k of w[2 - k]^T s[2 l + k], dw[2 - k] = sum over l of s[2 l
// + k] x[l]^T. s is stored as bf16 [N, 2D+1, 2H+1, 2W+1, C], each row its even voxels first: [W+1 even | W odd].
#pragma once

#include "kernels/conv/march.hpp"
#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// What kHeight x 16 voxels of the input's grid need of one plane of s: 2 kHeight + 1 rows of 17 even and 16 odd
/// voxels.
template <int kChannels, int kHeight>
struct FoldTile {
  static constexpr int kEven = 17;
  static constexpr int kOdd = 16;
  static constexpr int kOddAt = 24;
  static constexpr int kPitch = 40;
  static constexpr int kRows = 2 * kHeight + 1;
  static constexpr int kChunks = kChannels / 8;
  static constexpr int kVoxelBytes = kChannels * 2;
  static constexpr int kEntries = kRows * (kEven + kOdd);
  static constexpr int kBytes = round_up(kRows * kPitch * kVoxelBytes, kTileAlignment);
  static constexpr int kRowBytes = kPitch * kVoxelBytes;

  /// Of the voxel that tap kx of input voxel x reads in row 0.
  static constexpr int voxel(int x, int kx) { return kx == 1 ? kOddAt + x : x + kx / 2; }
  static constexpr int offset(int voxel, int chunk) { return Tile<kChannels, 1, 8>::offset(voxel, chunk); }
};

struct FoldShape {
  int in = 32;  // channels of s
  int tiles = 2;
  int warps_channels = 2;
  int rows = 2;
  int warps_y = 4;
  int stages = 3;
  int blocks = 1;
};

template <FoldShape kShape_>
struct Fold {
  static constexpr FoldShape kShape = kShape_;
  static constexpr MarchKey kKey = {.epilogue = Epilogue::kMask};
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = 16;
  static constexpr int kThreads = kShape.warps_channels * kShape.warps_y * 32;
  static constexpr int kBlocks = kShape.blocks;
  static constexpr int kStages = kShape.stages;
  static constexpr int kSpread = 1;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  using Input = FoldTile<kShape.in, kHeight>;
  using S = Steps<kShape.in>;
  static constexpr int kTapBytes = kShape.warps_channels * 32 * kTiles * 8;
  static constexpr int kWeightBytes = S::kTapCount * kTapBytes;
  static constexpr int kStageAt = round_up(kWeightBytes, kTileAlignment);
  static constexpr int kTableAt = kStageAt + kStages * Input::kBytes;
  static constexpr int kSharedBytes = kTableAt + Input::kEntries * kTableEntryBytes;
};

struct FoldWeightShape {
  int in = 32;  // channels of the input
  int tiles = 2;
  int warps_channels = 2;
  int rows = 4;
  int ahead = 2;  // steps that are loaded before they are needed
  int blocks = 1;
};

template <FoldWeightShape kShape_>
struct FoldWeights {
  static constexpr FoldWeightShape kShape = kShape_;
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kHeight = kRows;
  static constexpr int kWidth = 16;
  static constexpr int kSixteens = kShape.in / 16;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  static constexpr int kThreads = kTaps * kSixteens * kShape.warps_channels * 32;
  static constexpr int kBlocks = kShape.blocks;
  using Input = Tile<kShape.in, kHeight, kWidth>;
  using Gradient = FoldTile<kOut, kHeight>;
  static constexpr int kInputStages = 1 + kShape.ahead;
  static constexpr int kGradientStages = 3 + 2 * kShape.ahead;  // three in use, two a step on their way
  static constexpr int kGradientAt = kInputStages * Input::kBytes;
  static constexpr int kTableAt = kGradientAt + kGradientStages * Gradient::kBytes;
  static constexpr int kSharedBytes = kTableAt + (Input::kEntries + Gradient::kEntries) * kTableEntryBytes;
  static constexpr int kMatrixRows = 27 * kShape.in;
  static constexpr int kValues = (kMatrixRows + 1) * kOut;
};

}  // namespace regatta::kernels::conv
