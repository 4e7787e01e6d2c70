// Coordinates of voxels, part of the vocabulary of layers.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

namespace regatta {

/// 0 .. size - 1 along one axis (0: D, 1: H, 2: W) of [N, D, H, W], to be broadcast.
at::Tensor axis_positions(std::int64_t axis, std::int64_t size, const at::TensorOptions& options);

/// The map that leaves every voxel where it is: [1, 3, D, H, W] voxels, components D, H, W.
at::Tensor identity_map(const std::array<std::int64_t, 3>& grid, const at::TensorOptions& options);

}  // namespace regatta
