// The squared local correlation of two volumes: what the loss "ncc" negates and the metric "ncc" reports.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace regatta {

/// How a window's sums become its squared correlation. With cross and variances summed over the n voxels of a window:
enum class CorrelationForm {
  kSums,    ///< cross^2 / (var_fixed var_warped + 1e-5): VoxelMorph, TransMorph, LKU-Net, SYMNet
  kMeans,   ///< cross^2 / max(var_fixed var_warped, 1.19e-7 n^2), that is of means, over the float32 epsilon: VFA
  kClamped  ///< cross^2 / (var_fixed var_warped), each of the three at least 1e-5: VoxelMorph's TensorFlow code
};

struct CorrelationOptions {
  std::int64_t window = 9;  ///< odd edge length in voxels
  CorrelationForm form = CorrelationForm::kSums;
  at::Tensor mask{};  ///< [N, 1, D, H, W], mean over the voxels where it is not 0; undefined: all
};

/// Mean squared correlation of the windows around all voxels, zeros outside.
/// @param fixed, warped  [N, 1, D, H, W], one floating type, same device; intensities in [0, 1]
/// @return scalar in [0, 1] of the volumes' type, differentiable in both
/// Variances are differences of large sums, and 1e-5 hardly damps them in flat windows; so all sums are in double
/// precision. The derivative is closed-form and computed at once where one is needed: what is kept for the backward
/// pass is one volume per input. Transient memory: about 10 volumes in double precision. Deterministic.
at::Tensor local_correlation(const at::Tensor& fixed, const at::Tensor& warped, const CorrelationOptions& options);

/// The same by five dense convolutions with kernels of ones and LibTorch's own derivative, in the volumes' own
/// precision: how the authors compute it. The reference of `local_correlation`; slow.
at::Tensor local_correlation_reference(const at::Tensor& fixed, const at::Tensor& warped,
                                       const CorrelationOptions& options);

}  // namespace regatta
