// The Jacobian determinant of p + u(p), by which folding and smoothness of a field are judged.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "regatta/nn/metric.hpp"

namespace regatta {

/// det(I + du/dp) per voxel: central differences inside, one-sided at the borders (as numpy.gradient).
/// @param flow  [N, 3, D, H, W] voxels, each size at least 2
/// @return [N, D, H, W]
at::Tensor jacobian_determinant(const at::Tensor& flow);

/// How `sdlogj` takes logarithms of the determinant.
inline constexpr std::int64_t kLogMargin = 2;
inline constexpr double kLeastDeterminant = 1e-9;
inline constexpr double kMostDeterminant = 1e9;
inline constexpr double kLearn2RegShift = 3.0;

/// What our kernel sums over the determinants, still on the device, in one reading for all metrics that ask; none where
/// the backend has no form for the pair.
/// @param read  of kernels::JacobianSum, [kJacobianSums]
std::optional<PendingNumbers> pending_jacobian(const PairState& pair, std::function<Measured(const double* sums)> read);

/// @throws DataError, beginning with `who`, unless the mask is undefined or [1, 1, D, H, W] on the grid of one field
void check_mask(const char* who, const at::Tensor& mask, const at::Tensor& flow);

/// The grid without `margin` voxels at each side of D, H and W; a view.
at::Tensor without_border(const at::Tensor& volume, std::int64_t margin);

}  // namespace regatta
