// Folding and bending of the fast backend: one autograd node each over our kernels.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// A field in float32 that is large enough: at least 2 voxels along each axis for folding, 5 for bending.
bool has_folding(const at::Tensor& field);
bool has_bending(const at::Tensor& field);

/// Mean of max(0, -det), as the loss `jacobian` has it. Requires `has_folding`.
at::Tensor folding(const at::Tensor& field);

/// Mean of squared second derivatives, as the loss `bending` has it. Requires `has_bending`.
at::Tensor bending(const at::Tensor& field);

}  // namespace regatta::fast
