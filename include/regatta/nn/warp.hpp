// The spatial transformer: sampling a volume where a displacement field points, integrating velocities, composing
// fields.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/parameters.hpp"

namespace regatta {

/// What is read outside the volume.
enum class Outside { kZero, kBorder };

struct WarpOptions {
  Outside outside = Outside::kZero;

  /// How some repositories built their sampling grid: coordinates normalised for corner-aligned sampling, but sampled
  /// with align_corners false, so that a zero flow reads voxel i at i N / (N - 1) - 0.5. Only for their weights.
  bool shifted_grid = false;

  Backend backend = Backend::kReference;  ///< fast: our kernel where it has a form for these tensors
};

/// The volume sampled at p + flow(p), trilinear. Voxel centres of the corners are the field's ends (align_corners), so
/// a zero flow is the identity.
/// @param volume  [N, C, D, H, W]; a gradient to it is computed only if it requires one
/// @param flow    [N, 3, D, H, W] voxels, components D, H, W; each size at least 2
/// @return [N, C, D, H, W], differentiable in both
/// @throws DataError if the shapes do not fit
/// Keeps volume and flow for the backward pass, no sampling grid. Deterministic on CUDA as long as `volume` requires no
/// gradient. Source: the spatial transformer of the VoxelMorph repositories.
at::Tensor warp(const at::Tensor& volume, const at::Tensor& flow, const WarpOptions& options = {});

struct IntegrateOptions {
  int steps = 7;       ///< squarings
  bool scale = true;   ///< divide the velocity by 2^steps first
  WarpOptions warp{};  ///< of the field itself
};

/// Scaling and squaring: the displacement after unit time in a stationary velocity field.
/// @param velocity  [N, 3, D, H, W] voxels per unit time
/// @return [N, 3, D, H, W] voxels, differentiable
at::Tensor integrate(const at::Tensor& velocity, const IntegrateOptions& options = {});

/// The displacement of p -> outer(inner(p)): inner + outer sampled at p + inner(p).
/// @param outer, inner  [N, 3, D, H, W] voxels
at::Tensor compose(const at::Tensor& outer, const at::Tensor& inner, const WarpOptions& options = {});

/// The label at the voxel nearest to p + flow(p), 0 beyond the centres of the outer voxels, as in Learn2Reg's
/// evaluation.
/// @param labels  [N, 1, D, H, W] uint8
/// @return [N, 1, D, H, W] uint8. For label maps of other sizes and types, and another edge: grid_warp.hpp
at::Tensor warp_labels(const at::Tensor& labels, const at::Tensor& flow);

}  // namespace regatta
