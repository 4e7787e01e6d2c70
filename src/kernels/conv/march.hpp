// Sizes of the marching convolution (march.cuh).
#pragma once

#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

enum class Epilogue {
  kActivate,  // + bias, LeakyReLU
  kMask,      // x LeakyReLU'(stored activation)
  kPlanar,    // + bias, three channels, float32 [N, 3, D, H, W]
};

/// What the form computes. Wide inputs have 8, 16, 32 or 64 channels, 0: none.
struct MarchKey {
  int first = 0;
  bool first_up = false;  // the first wide input is read through nearest x2 up-sampling
  int second = 0;
  int thin = 0;  // 2 or 4 channels, 0: none
  Epilogue epilogue = Epilogue::kActivate;
  int edge = kTaps;    // of the kernel
  bool prelu = false;  // slope from memory, and what a trained one needs: the values before it, its gradient
};

/// How it is laid on the chip: a warp owns `rows` rows of 16 voxels and `tiles` x 8 output channels; warps stand side
/// by side over channels, rows and x.
struct MarchShape {
  int tiles = 2;
  int warps_channels = 1;
  int rows = 4;
  int warps_y = 2;
  int warps_x = 2;
  int stages = 3;
  int blocks = 2;  // on a multiprocessor
};

template <MarchKey kKey_, MarchShape kShape_>
struct March {
  static constexpr MarchKey kKey = kKey_;
  static constexpr MarchShape kShape = kShape_;
  static constexpr int kEdge = kKey.edge;
  static constexpr int kReach = kEdge / 2;
  // Steps of the loop that are written out, each with its slots: none of large kernels, whose code would leave the
  // instruction cache; their sums move down a slot instead.
  static constexpr int kPhases = kEdge == kTaps ? kTaps : 1;
  static constexpr int kTiles = kShape.tiles;
  static constexpr int kRows = kShape.rows;
  static constexpr int kHeight = kShape.warps_y * kRows;
  static constexpr int kWidth = kShape.warps_x * 16;
  static constexpr int kThreads = kShape.warps_channels * kShape.warps_y * kShape.warps_x * 32;
  static constexpr int kBlocks = kShape.blocks;
  static constexpr int kStages = kShape.stages;
  static constexpr int kSpread = 1;
  static constexpr int kOut = kShape.warps_channels * kTiles * 8;  // output channels of a group

  template <int kChannels>
  using Wide = Tile<kChannels, kHeight + kEdge - 1, kWidth + kEdge - (Steps<kChannels>::kPaired ? 0 : 1)>;
  using First = Wide<kKey.first>;
  using Second = Wide<kKey.second>;
  using Thin = ThinTile<kKey.thin, kHeight + 2, kWidth + 3>;

  // bytes of weights: a tap of a step is one load of a warp, 8 bytes x tiles a lane
  static constexpr int kTapBytes = kShape.warps_channels * 32 * kTiles * 8;
  static constexpr int kSecondTaps = Steps<kKey.first, kEdge>::kTapCount;
  static constexpr int kThinTaps = kSecondTaps + Steps<kKey.second, kEdge>::kTapCount;
  static constexpr int kWeightBytes = (kThinTaps + thin_tap_count(kKey.thin)) * kTapBytes;

  // shared memory: weights, stages, load tables
  static constexpr int kStageBytes = First::kBytes + Second::kBytes + Thin::kBytes;
  static constexpr int kStageAt = round_up(kWeightBytes, kTileAlignment);
  static constexpr int kTableAt = kStageAt + kStages * kStageBytes;
  static constexpr int kEntries = First::kEntries + Second::kEntries + Thin::kEntries;
  static constexpr int kSharedBytes = kTableAt + kEntries * kTableEntryBytes;
  static_assert(kEdge == kTaps || (kKey.thin == 0 && kKey.second == 0));
};

}  // namespace regatta::kernels::conv
