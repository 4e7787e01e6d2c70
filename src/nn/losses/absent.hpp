// The value of a loss for a pair that lacks what it compares.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include "nn/known_gradient.hpp"

namespace regatta::losses {

/// 0, with a derivative of 0 with respect to `input`, so that a step with no other loss can still go backward.
inline at::Tensor nothing_to_compare(const at::Tensor& input) {
  const at::Tensor zero = at::zeros({}, input.options());
  return needs_gradient(input) ? with_gradient(zero, input, zero.expand(input.sizes())) : zero;
}

}  // namespace regatta::losses
