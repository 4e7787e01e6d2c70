// Instance normalisation of the fast backend, with the LeakyReLU after it.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// Whether our kernels normalise these features: bf16, channels in multiples of 8, a slope above 0.
bool has_instance_norm(const at::Tensor& features, double slope);

/// Keeps the result, not the input.
/// @param features  [N, C, D, H, W]
/// @param slope     of the LeakyReLU; 1: none
at::Tensor instance_norm(const at::Tensor& features, double slope);

}  // namespace regatta::fast
