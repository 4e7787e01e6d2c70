// Softsign of fields in one pass.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// A field [N, 3, D, H, W] float32.
bool has_softsign(const at::Tensor& field);

/// factor * x / (1 + |x|), a factor for each component. Keeps its input. Requires `has_softsign`.
at::Tensor softsign(const at::Tensor& field, const std::array<double, 3>& factors);

}  // namespace regatta::fast
