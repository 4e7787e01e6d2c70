// Sizes of the weight gradients of stride 2 (strided_weights.cuh).
#pragma once

#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// The voxels that a tile of kRows x kColumns voxels of the output's gradient meets in one plane of the input. Of a row
/// those of odd number lie first, then the even ones: those of one tap are neighbours.
template <int kChannels, int kRows, int kColumns>
struct StridedTile {
  static constexpr int kHeight = 2 * kRows + 1;
  static constexpr int kWidth = 2 * kColumns + 1;
  static constexpr int kPitch = round_up(kWidth, 8);
  using Dense = Tile<kChannels, kHeight, kPitch>;
  static constexpr int kChunks = Dense::kChunks;
  static constexpr int kVoxelBytes = Dense::kVoxelBytes;
  static constexpr int kEntries = kHeight * kWidth;
  static constexpr int kBytes = Dense::kBytes;

  /// Where voxel 2 x + kx of a row lies.
  static constexpr int slot(int kx) { return kx == 1 ? 0 : kColumns + kx / 2; }
  static constexpr int row_offset(int row, int x) {
    return Dense::offset(row * kPitch + (x % 2 == 1 ? x / 2 : kColumns + x / 2), 0);
  }
};

/// `in`: 16, 32 or 64 input channels of a group, of those in memory; it has warps_channels x tiles x 8 output
/// channels. A warp owns one kz, 16 input channels, `tiles` x 8 output channels and, of the tile, `rows` rows of 16
/// voxels.
struct StridedWeightShape {
  int in = 32;
  int tiles = 2;
  int warps_channels = 2;
  int rows = 4;
  int warps_y = 1;
  int blocks = 1;
};

template <StridedWeightShape kShape_>
struct StridedWeights {
  static constexpr StridedWeightShape kShape = kShape_;
  static constexpr int kIn = kShape.in;
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kSixteens = kIn / 16;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = 16;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  static constexpr int kRoles = kTaps * kSixteens * kShape.warps_channels;
  static constexpr int kSharers = kShape.warps_y;  // warps of one role
  static constexpr int kThreads = kRoles * kSharers * 32;
  static constexpr int kBlocks = kShape.blocks;

  using Input = StridedTile<kIn, kHeight, kWidth>;
  using Gradient = Tile<kOut, kHeight, kWidth>;
  static constexpr int kInputSlots = 5;  // three planes are read while two are on their way
  static constexpr int kGradientSlots = 2;
  static constexpr int kGradientAt = kInputSlots * Input::kBytes;
  static constexpr int kTableAt = kGradientAt + kGradientSlots * Gradient::kBytes;
  static constexpr int kRing = kTableAt + (Input::kEntries + Gradient::kEntries) * kTableEntryBytes;

  static constexpr int kSums = (kTaps * kTaps + 1) * kTiles * 4;  // a thread's, bias last
  static constexpr int kMerge = kRoles * kSums * 32 * 4;
  static constexpr int kSharedBytes = kSharers > 1 && kMerge > kRing ? kMerge : kRing;

  static constexpr int kMatrixRows = kTaps * kTaps * kTaps * kIn;
  static constexpr int kValues = (kMatrixRows + 1) * kOut;  // of a block; the last row is the bias
};

}  // namespace regatta::kernels::conv
