// The spatial transformer: sampling a volume where a displacement field points. Integration of velocities comes with
// the networks that need it.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// The volume sampled at p + flow(p), trilinear, zero outside. Voxel centres of the corners are the field's ends
/// (align_corners), so a zero flow is the identity.
/// @param volume  [N, C, D, H, W]; a gradient to it is computed only if it requires one
/// @param flow    [N, 3, D, H, W] voxels, components D, H, W; each size at least 2
/// @return [N, C, D, H, W], differentiable in `flow`
/// @throws DataError if the shapes do not fit
/// Deterministic on CUDA as long as `volume` requires no gradient.
/// Source: the spatial transformer of the VoxelMorph repositories.
at::Tensor warp(const at::Tensor& volume, const at::Tensor& flow);

/// The label at the voxel nearest to p + flow(p), 0 outside.
/// @param labels  [N, 1, D, H, W] uint8
/// @return [N, 1, D, H, W] uint8
at::Tensor warp_labels(const at::Tensor& labels, const at::Tensor& flow);

}  // namespace regatta
