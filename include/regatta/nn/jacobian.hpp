// The Jacobian determinant of p + u(p): by how much a field stretches or shrinks each voxel; not above 0 where it
// folds.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// det(I + du/dp) per voxel: central differences inside, one-sided at the borders (as numpy.gradient).
/// @param flow  [N, 3, D, H, W] voxels, each size at least 2
/// @return [N, D, H, W]
at::Tensor jacobian_determinant(const at::Tensor& flow);

}  // namespace regatta
