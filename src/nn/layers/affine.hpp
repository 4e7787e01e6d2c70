// Affine transforms from a network's heads, part of the vocabulary of layers.
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

namespace regatta {

/// Angles, factors and shifts in coordinates that run over [-1, 1] along each axis, in the order x, y, z = W, H, D.
struct AffineParts {
  at::Tensor rotation;     ///< [N, 3] radians about x, y, z
  at::Tensor scale;        ///< [N, 3] factors along x, y, z
  at::Tensor shear;        ///< [N, 6] angles xy, xz, yx, yz, zx, zy; their tangents are used
  at::Tensor translation;  ///< [N, 3]
};

/// [shear scale Rz Ry Rx | translation], the transposes of the textbook rotations, as the TransMorph and LKU-Net
/// programs compose them by stacking columns: Rx = [[1, 0, 0], [0, cos, sin], [0, -sin, cos]].
/// @return [N, 3, 4], to be applied to (x, y, z, 1)
at::Tensor affine_matrix(const AffineParts& parts);

/// [A^-1 | -A^-1 t] of [A | t]: [N, 3, 4]. Infinite where the matrix is singular. By minors: a factorisation would wait
/// for the device.
at::Tensor inverse_affine(const at::Tensor& matrix);

/// What the matrix does to each voxel: [N, 3, D, H, W] voxels, components D, H, W, pull-back. Zero for [I | 0].
/// @param matrix         [N, 3, 4] in coordinates x, y, z over [-1, 1]
/// @param align_corners  whether -1 and 1 are the centres of the outer voxels (true) or their outer faces (false). The
///                       same as LibTorch's affine_grid and grid_sampler with this setting in both.
at::Tensor affine_displacement(const at::Tensor& matrix, const std::array<std::int64_t, 3>& grid, bool align_corners);

}  // namespace regatta
