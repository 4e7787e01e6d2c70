// Composition of fields, and scaling and squaring, by our kernels.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/warp.hpp"

namespace regatta::fast {

/// float32 [N, 3, D, H, W] with at least two voxels along each axis, on the fast backend and not on a shifted grid.
bool has_integrate(const at::Tensor& velocity, const IntegrateOptions& options);
at::Tensor integrate(const at::Tensor& velocity, const IntegrateOptions& options);

bool has_compose(const at::Tensor& outer, const at::Tensor& inner, const WarpOptions& options);
at::Tensor compose(const at::Tensor& outer, const at::Tensor& inner, const WarpOptions& options);

}  // namespace regatta::fast
