#include "nn/layers/grid.hpp"

#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>

namespace regatta {

at::Tensor axis_positions(std::int64_t axis, std::int64_t size, const at::TensorOptions& options) {
  std::vector<std::int64_t> shape = {1, 1, 1, 1};
  shape[static_cast<std::size_t>(axis) + 1] = size;
  return at::arange(size, options).view(shape);
}

at::Tensor identity_map(const std::array<std::int64_t, 3>& grid, const at::TensorOptions& options) {
  const auto [D, H, W] = grid;
  std::vector<at::Tensor> components;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    components.push_back(axis_positions(axis, grid[static_cast<std::size_t>(axis)], options).expand({1, D, H, W}));
  }
  return at::stack(components, 1);
}

}  // namespace regatta
