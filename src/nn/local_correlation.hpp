// The squared local correlation of two volumes: what the loss "ncc" negates and the metric "ncc" reports.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// Mean over all voxels of cross^2 / (var_fixed var_warped + 1e-5), sums over windows of `window`^3 voxels with zeros
/// outside, each divided by window^3: the definition of the VoxelMorph, TransMorph and LKU-Net repositories.
/// @param fixed, warped  [N, 1, D, H, W], one floating type, same device; intensities in [0, 1]
/// @param window  odd edge length in voxels
/// @return scalar in [0, 1] of the volumes' type, differentiable in both
/// Variances are differences of large sums, and 1e-5 hardly damps them in flat windows; so all sums are in double
/// precision. The derivative is closed-form and computed at once where one is needed: what is kept for the backward
/// pass is one volume per input. Transient memory: about 10 volumes in double precision. Deterministic.
at::Tensor local_correlation(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t window);

/// The same by five dense convolutions with kernels of ones and LibTorch's own derivative, in the volumes' own
/// precision: how the authors compute it. The oracle of `local_correlation`; slow.
at::Tensor local_correlation_dense(const at::Tensor& fixed, const at::Tensor& warped, std::int64_t window);

}  // namespace regatta
