#include "nn/models/parts/shifted_grid.hpp"

#include <array>

#include "nn/layers/grid.hpp"
#include "nn/layers/resize.hpp"

namespace regatta::models {

at::Tensor follow_shifted_grid(const at::Tensor& flow) {
  std::array<double, 3> stretch{};  // N / (N - 1)
  std::array<double, 3> slope{};    // of the shift, half a voxel outwards at both ends
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto size = static_cast<double>(grid_of(flow)[axis]);
    stretch[axis] = size / (size - 1.0);
    slope[axis] = 1.0 / (size - 1.0);
  }
  const at::Tensor shift = scale_components(identity_map(grid_of(flow), flow.options()), slope).sub_(0.5);
  return scale_components(flow, stretch).add_(shift);
}

}  // namespace regatta::models
