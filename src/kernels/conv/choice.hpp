// Which row of the table of forms a pass takes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "kernels/conv/launch.hpp"
#include "regatta/kernels/conv.hpp"

namespace regatta::kernels::conv {

/// A form of forward or data gradient.
struct ForwardChoice {
  Family family = Family::kMarch;
  int form = 0;
  Packing packing;
  std::string text;
  int blocks_of_multiprocessor = 1;

  /// Blocks of the launch, of all groups.
  int blocks(const Capability& chip) const {
    return (chip.multiprocessors * blocks_of_multiprocessor + packing.groups - 1) / packing.groups * packing.groups;
  }
};

/// A form of the gradient of the weights that read one input.
struct WeightChoice {
  Family family = Family::kWeights;
  int form = 0;
  int groups = 1;
  int blocks = 0;
  int values = 0;
  int out = 0;     // of a group
  int in = 0;      // of a group; thin forms: not counted
  int slices = 1;  // of the input's channels
  int pairs = 1;   // groups for each pair of slices
  SumOrder order = SumOrder::kWide;
  std::string text;

  std::size_t scratch_bytes() const { return sizeof(float) * groups * blocks * values; }
};

std::optional<ForwardChoice> choose_forward(const ConvShape& shape, const Capability& chip);
std::optional<ForwardChoice> choose_gradient(const ConvShape& shape, ConvPass pass, const Capability& chip);
std::optional<WeightChoice> choose_weights(const ConvShape& shape, const ConvInput& input, const Capability& chip);

/// Channels of an input that one form does.
struct WeightSlice {
  int first = 0;
  int channels = 0;
  WeightChoice choice;
};

/// The whole input where there is a form for it. Wider ones are cut where that beats cuDNN: up to 320 channels and 96
/// of the output, on grids of at least 50 000 voxels. Empty without a form.
std::vector<WeightSlice> weight_slices(const ConvShape& shape, const ConvInput& input, const Capability& chip);

}  // namespace regatta::kernels::conv
