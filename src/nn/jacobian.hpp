// The Jacobian determinant of p + u(p), by which folding and smoothness of a field are judged.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// det(I + du/dp) per voxel: central differences inside, one-sided at the borders (as numpy.gradient).
/// @param flow  [N, 3, D, H, W] voxels, each size at least 2
/// @return [N, D, H, W]
at::Tensor jacobian_determinant(const at::Tensor& flow);

/// @throws DataError, beginning with `who`, unless the mask is undefined or [1, 1, D, H, W] on the grid of one field
void check_mask(const char* who, const at::Tensor& mask, const at::Tensor& flow);

/// The grid without `margin` voxels at each side of D, H and W; a view.
at::Tensor without_border(const at::Tensor& volume, std::int64_t margin);

}  // namespace regatta
