// How much the pairs that a process has of a batch count in the whole: a loss is a mean over all pairs, or over all
// voxels within the masks, whoever has them.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace regatta {

struct BatchShare {
  std::int64_t first = 0;       ///< place of the first own pair
  std::int64_t own = 0;         ///< pairs
  std::int64_t pairs = 0;       ///< of the whole batch; 0: this is the whole
  double of_fixed_mask = 1.0;   ///< share of the voxels within the fixed volumes' masks
  double of_moving_mask = 1.0;  ///< the same for the other direction
  at::Tensor of_masks{};        ///< [2] float64 on the device: both once more; where it is defined only this is read

  bool is_whole() const { return pairs == 0 || own == pairs; }
  double of_pairs() const { return is_whole() ? 1.0 : static_cast<double>(own) / static_cast<double>(pairs); }
};

}  // namespace regatta
