// Sums over a field's Jacobian determinants by our kernel, for the metrics of fields.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/kernels/jacobian.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::fast {

/// A field in float32 with at least 2 voxels along each axis, on a GPU with our kernels; the fixed mask, where there is
/// one, of uint8 on its grid.
bool has_jacobian_sums(const PairState& pair);

/// [kernels::kJacobianSums] float64 on the device, logarithms within the fixed mask where there is one. Requires
/// `has_jacobian_sums`.
at::Tensor jacobian_sums(const PairState& pair, const kernels::JacobianLog& log);

}  // namespace regatta::fast
