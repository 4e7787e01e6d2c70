// Sums over cubic windows, separable and deterministic on every device: shifted additions only, no pooling, no prefix
// sums. With zero padding the filter is its own adjoint, so a backward pass uses the same function.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// A volume between zeros, w/2 of them on each side of D, H and W, in double precision.
/// @param volume  [N, D, H, W]
/// @return [N, D + w - 1, H + w - 1, W + w - 1] float64
at::Tensor pad_for_box(const at::Tensor& volume, std::int64_t window);

/// Sum over the window that starts at each voxel of the padded volume.
/// @param padded  [N, D + w - 1, H + w - 1, W + w - 1]
/// @return [N, D, H, W]
at::Tensor box_sum(const at::Tensor& padded, std::int64_t window);

}  // namespace regatta
