// The displacement that sampling with `WarpOptions::shifted_grid` amounts to, for networks with published weights that
// were trained under it.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta::models {

/// Voxel p of the result plus p is where `warp(volume, flow, {.shifted_grid = true})` reads:
/// (p + flow) N / (N - 1) - 0.5 along an axis of N voxels. So `warp(volume, result)` gives the same volume but for
/// rounding, and label maps, points and files may follow the result.
/// @param flow  [N, 3, D, H, W] voxels
at::Tensor follow_shifted_grid(const at::Tensor& flow);

}  // namespace regatta::models
