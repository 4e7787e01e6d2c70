// How metrics judge folding and smoothness of a field by the Jacobian determinant of p + u(p).
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "regatta/nn/jacobian.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta {

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
