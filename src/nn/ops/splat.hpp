// The adjoint of trilinear sampling: values at points are added to the eight voxels around each. LibTorch's own kernels
// do that with atomic additions of floats, whose order and so whose last bits change from run to run.
#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace regatta {

/// The eight voxels around points, and their trilinear weights. Points outside the grid are moved to its border.
struct Corners {
  at::Tensor index;   ///< [8, P] int64, of the flattened grid
  at::Tensor weight;  ///< [8, P], the points' type
};

/// @param points  [3, P] voxels, order D H W
/// @param sizes   D, H, W of the grid, each at least 2
Corners corners_of(const at::Tensor& points, const std::array<std::int64_t, 3>& sizes);

/// @param values  [C, P]; added to the voxels around their points, with the weights of trilinear sampling
/// @param points  [3, P] voxels, order D H W; those outside the grid are moved to its border
/// @return [C, D H W], of the values' type
/// Sums are of integers, in units of 2^-44 of the largest value: exact, so the same in any order, and with more digits
/// than float32 has. Transient memory: C grids of int64 and as many of float64. Without gradients.
at::Tensor splat(const at::Tensor& values, const at::Tensor& points, const std::array<std::int64_t, 3>& sizes);

}  // namespace regatta
