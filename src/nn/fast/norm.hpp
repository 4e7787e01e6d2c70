// Instance normalisation of the fast backend, with the LeakyReLU after it.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// Whether our kernels normalise these features: bf16, channels in multiples of 8, a slope above 0 (affine: 0 too).
bool has_instance_norm(const at::Tensor& features, double slope, bool affine = false);

/// Keeps the result, not the input.
/// @param features  [N, C, D, H, W]
/// @param slope     of the LeakyReLU; 1: none
at::Tensor instance_norm(const at::Tensor& features, double slope);

/// The same with trained scale and shift, before the LeakyReLU. Keeps the input, not the result.
/// @param weight, bias  [C] float32
at::Tensor instance_norm(const at::Tensor& features, const at::Tensor& weight, const at::Tensor& bias, double slope);

}  // namespace regatta::fast
