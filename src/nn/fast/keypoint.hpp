// Key-points of the fast backend: one autograd node over our kernels.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"

namespace regatta::fast {

/// Up to 16384 points of float32 in a field of float32.
bool has_keypoints(const PairState& pair);

/// Mean distance in mm, or (squared) mean squared component in halves of the volume. Requires `has_keypoints`, and
/// points.
at::Tensor keypoints(const PairState& pair, bool squared);

}  // namespace regatta::fast
