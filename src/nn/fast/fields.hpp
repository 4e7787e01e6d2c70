// Warp, local correlation and smoothness of the fast backend: one autograd node each over our kernels. Where there is
// no form for what is asked, callers take their reference form.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/ops/local_correlation.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::fast {

/// A volume of one channel in float32 that wants no gradient.
bool has_warp(const at::Tensor& volume, const at::Tensor& flow, const WarpOptions& options);

/// As regatta::warp. Requires `has_warp`.
at::Tensor warp(const at::Tensor& volume, const at::Tensor& flow, const WarpOptions& options);

/// Windows 3 to 11, no gradient to the fixed image; masks of uint8.
bool has_local_correlation(const at::Tensor& fixed, const at::Tensor& warped, const CorrelationOptions& options);

/// As regatta::local_correlation, of images in [0, 1]: one that is not makes the result NaN. Requires
/// `has_local_correlation`.
at::Tensor local_correlation(const at::Tensor& fixed, const at::Tensor& warped, const CorrelationOptions& options);

bool has_diffusion(const at::Tensor& field);

/// Mean of squared (else absolute) forward differences per axis, averaged over the axes. Requires `has_diffusion`.
/// @param lku_units  those of LKU-Net, else voxels
at::Tensor diffusion(const at::Tensor& field, bool squared, bool lku_units);

}  // namespace regatta::fast
