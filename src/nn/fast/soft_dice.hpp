// Soft Dice of the fast backend: one autograd node over our kernels, however many labels.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"

namespace regatta::fast {

inline constexpr std::int64_t kMostLabels = 255;

/// Label maps of uint8 on the grid of a field in float32, at most `kMostLabels` values.
bool has_soft_dice(const PairState& pair);

/// One minus the mean over labels and pairs, as the loss `dice` has it. Requires `has_soft_dice`.
/// @param squares     the denominator is a sum of squares, else of memberships
/// @param background  index 0 counts
at::Tensor soft_dice(const PairState& pair, bool squares, bool background);

}  // namespace regatta::fast
