// Sizes of the weight gradients for compute capability 9.0 (hopper_weights.cuh).
#pragma once

#include "kernels/conv/tiles.hpp"

namespace regatta::kernels::conv {

/// A warpgroup owns one pair of kz and kx, all ky, 64 input channels and 64 output channels.
struct HopperWeightShape {
  int edge = kTaps;
  int warpgroups = 3;
  int rows = 16;  // of 16 voxels, of the tile
};

template <HopperWeightShape kShape_>
struct HopperWeights {
  static constexpr HopperWeightShape kShape = kShape_;
  static constexpr int kEdge = kShape.edge;
  static constexpr int kReach = kEdge / 2;
  static constexpr int kIn = 64;
  static constexpr int kOut = 64;
  static constexpr int kWarpgroups = kShape.warpgroups;
  static constexpr int kPairs = kEdge * kEdge;
  static constexpr int kPairGroups = (kPairs + kWarpgroups - 1) / kWarpgroups;
  static constexpr bool kTwoDepths = kEdge % kWarpgroups != 0;  // pairs of one block may differ in kz
  static constexpr int kThreads = kWarpgroups * 128;
  static constexpr int kBlocks = 1;
  static constexpr int kHeight = kShape.rows;
  static constexpr int kWidth = 16;

  using Input = Tile<kIn, kHeight, kWidth + kEdge - 1>;
  using Gradient = Tile<kOut, kHeight + kEdge - 1, kWidth>;
  static constexpr int kInputSlots = 2;
  static constexpr int kGradientSlots = kTwoDepths ? 3 : 2;
  static constexpr int kGradientAt = kInputSlots * Input::kBytes;
  static constexpr int kTableAt = kGradientAt + kGradientSlots * Gradient::kBytes;
  static constexpr int kSharedBytes = kTableAt + (Input::kEntries + Gradient::kEntries) * kTableEntryBytes;

  // rows of the gradient that meet a row of the input: three by one instruction, of a large kernel two by another
  static constexpr int kFirstSums = 3 * kOut / 2;
  static constexpr int kSecondSums = (kEdge - 3) * kOut / 2;
  static constexpr int kValues = kWarpgroups * kEdge * kIn * kOut;  // of a block: [pair][ky][in][out]
};

}  // namespace regatta::kernels::conv
