// The points at which a field has a volume sampled, as LibTorch's grid sampler wants them.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>

#include "nn/layers/grid.hpp"

namespace regatta {

// LibTorch's numbers for grid_sampler_3d.
inline constexpr std::int64_t kTrilinear = 0;
inline constexpr std::int64_t kZerosPadding = 0;
inline constexpr std::int64_t kBorderPadding = 1;

/// p + flow(p) in the coordinates of a volume of these sizes, -1 .. 1 between its outer voxel centres, last axis W, H,
/// D.
/// @param flow    [N, 3, D, H, W] voxels
/// @param volume  [N, C, D', H', W']
/// @return [N, D, H, W, 3]
inline at::Tensor sampling_grid(const at::Tensor& flow, const at::Tensor& volume) {
  std::vector<at::Tensor> components;
  for (std::int64_t axis = 2; axis >= 0; --axis) {
    const at::Tensor point =
        flow.select(1, axis) + axis_positions(axis, flow.size(2 + axis), flow.options());  // voxels
    components.push_back(point.mul(2.0 / static_cast<double>(volume.size(2 + axis) - 1)).sub_(1.0));
  }
  return at::stack(components, -1);
}

}  // namespace regatta
