// Sizes of the marching convolution for compute capability 9.0 (hopper.cuh).
#pragma once

#include "kernels/conv/march.hpp"
#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// A warpgroup owns patches of 8x8 voxels, all output channels and three output planes of them.
struct HopperShape {
  int in = 16;  // channels of the tile; 8: the input has 4 in memory
  int out = 16;
  int patches_y = 1;
  int patches_x = 2;
  int warpgroups = 1;
  int stages = 3;
  int blocks = 4;
};

template <HopperShape kShape_, Epilogue kEpilogue, bool kPrelu = false>
struct Hopper {
  static constexpr HopperShape kShape = kShape_;
  static constexpr bool kQuads = kShape.in == 8;
  static constexpr MarchKey kKey = {
      .first = kQuads ? 0 : kShape.in, .thin = kQuads ? 4 : 0, .epilogue = kEpilogue, .prelu = kPrelu};
  using S = Steps<kShape.in>;
  static constexpr int kOut = kShape.out;
  static constexpr int kHeight = kShape.patches_y * 8;
  static constexpr int kWidth = kShape.patches_x * 8;
  static constexpr int kPatches = kShape.patches_y * kShape.patches_x / kShape.warpgroups;  // of a warpgroup
  static constexpr int kThreads = kShape.warpgroups * 128;
  static constexpr int kBlocks = kShape.blocks;
  static constexpr int kStages = kShape.stages;
  static constexpr int kSums = kTaps * kOut / 2;  // of a thread and patch
  static constexpr int kPlaneSums = kOut / 2;
  using Input = Tile<kShape.in, kHeight + 2, kWidth + (S::kPaired ? 3 : 2)>;

  // weights: [16 channels][dx][ky][half of 16][kz and output channel][8]
  static constexpr int kTapBytes = 2 * kTaps * kOut * 16;
  static constexpr int kWeightBytes = S::kSixteens * S::kShifts * kTaps * kTapBytes;
  static constexpr int kStageAt = round_up(kWeightBytes, kTileAlignment);
  static constexpr int kTableAt = kStageAt + kStages * Input::kBytes;
  static constexpr int kSharedBytes = kTableAt + Input::kEntries * kTableEntryBytes;
  static_assert(kPatches % kShape.patches_x == 0 || kShape.patches_x % kPatches == 0);
};

}  // namespace regatta::kernels::conv
