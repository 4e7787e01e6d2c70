// Sizes of the convolution that computes with an input before its nearest x2 up-sampling (up_forward.cuh).
//
// Along an axis an output of parity 0 sees voxels {-1, 0} of the small input with weights {w0, w1 + w2}, one of parity
// 1 {0, +1} with {w0 + w1, w2}: 8 taps an output instead of 27. The weights are summed in float32 by the packing. Zero
// padding stays exact.
#pragma once

#include "kernels/conv/march.hpp"
#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// A warp has one parity in y and x, and `rows` rows of 16 voxels of the small input.
struct UpShape {
  int in = 32;
  int thin = 2;  // channels of a second input at full resolution; 0: none
  int tiles = 2;
  int warps_channels = 1;
  int rows = 4;
  int warps_y = 1;
  int stages = 3;
  int blocks = 2;
};

constexpr int kParities = 4;  // in y and x
constexpr int kLive = 4;      // output planes in registers

constexpr int up_tap_count(int channels) {
  return kParities * channels / 16 * 4 * kLive;
}

template <UpShape kShape_>
struct UpForward {
  static constexpr UpShape kShape = kShape_;
  static constexpr MarchKey kKey = {
      .first = kShape.in, .first_up = true, .thin = kShape.thin, .epilogue = Epilogue::kActivate};
  static constexpr int kSpread = 2;  // of a warp's voxels in the output
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kHeight = kShape.warps_y * kRows;  // of the small input
  static constexpr int kWidth = 16;
  static constexpr int kThreads = kParities * kShape.warps_channels * kShape.warps_y * 32;
  static constexpr int kBlocks = kShape.blocks;
  static constexpr int kStages = kShape.stages;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;
  static constexpr int kSixteens = kShape.in / 16;

  using Input = Tile<kShape.in, kHeight + 2, kWidth + 2>;
  using Thin = ThinTile<kShape.thin, 2 * kHeight + 2, 2 * kWidth + 3>;
  static constexpr int kTapBytes = kShape.warps_channels * 32 * kTiles * 8;
  static constexpr int kThinTaps = up_tap_count(kShape.in);
  static constexpr int kWeightBytes = (kThinTaps + thin_tap_count(kShape.thin)) * kTapBytes;
  static constexpr int kStageBytes = Input::kBytes + 2 * Thin::kBytes;  // a small plane and its two full ones
  static constexpr int kStageAt = round_up(kWeightBytes, kTileAlignment);
  static constexpr int kTableAt = kStageAt + kStages * kStageBytes;
  static constexpr int kSharedBytes = kTableAt + (Input::kEntries + Thin::kEntries) * kTableEntryBytes;
};

}  // namespace regatta::kernels::conv
