// Losses of two images of the fast backend beside local correlation: one autograd node each over our kernels. Images
// are [N, 1, D, H, W]; where there is no form for what is asked, callers take their reference form.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/ops/parzen.hpp"

namespace regatta::fast {

/// Two images of float32. @param mask  of uint8, or undefined
bool has_image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask);

/// Mean squared (else absolute) difference, of the mask's voxels if it is defined. Requires `has_image_difference`.
at::Tensor image_difference(const at::Tensor& fixed, const at::Tensor& warped, const at::Tensor& mask, bool squared);

/// Up to 32 bins.
bool has_mutual_information(const at::Tensor& fixed, const at::Tensor& warped, const ParzenOptions& options);

/// Mutual information of all voxels, negated; mean over the pairs. Requires `has_mutual_information`.
at::Tensor mutual_information(const at::Tensor& fixed, const at::Tensor& warped, const ParzenOptions& options);

/// Up to 32 bins and cubes of 16 voxels; no gradient to the fixed image.
bool has_local_mutual_information(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t edge,
                                  const ParzenOptions& options);

/// Mutual information of the voxels of cubes, negated; mean over the cubes. Requires `has_local_mutual_information`.
at::Tensor local_mutual_information(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t edge,
                                    const ParzenOptions& options);

/// No gradient to the fixed image.
bool has_ssim(const at::Tensor& fixed, const at::Tensor& warped);

/// One minus the mean structural similarity. Requires `has_ssim`.
at::Tensor ssim(const at::Tensor& fixed, const at::Tensor& warped);

/// Radii 1 and 2; no gradient to the fixed image.
bool has_mind(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t radius, std::int64_t dilation);

/// Mean squared difference of MIND-SSC descriptors. Requires `has_mind`. Transient memory: 24 volumes.
at::Tensor mind(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t radius, std::int64_t dilation);

}  // namespace regatta::fast
