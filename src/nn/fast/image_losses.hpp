// Losses of two images of the fast backend beside local correlation: one autograd node each over our kernels. Images
// are [N, 1, D, H, W]; where there is no form for what is asked, callers take their reference form.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// Two images of float32. @param mask  of uint8, or undefined
bool has_image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask);

/// Mean squared (else absolute) difference, of the mask's voxels if it is defined. Requires `has_image_difference`.
at::Tensor image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask, bool squared);

}  // namespace regatta::fast
