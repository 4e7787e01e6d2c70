#include "coarse.hpp"

namespace regatta::demo {

Shape3 coarse_shape(const Shape3& shape, const Factor& factor) {
  return {shape[0] / factor[0], shape[1] / factor[1], shape[2] / factor[2]};
}

Grid coarse_grid(const Grid& grid, const Factor& factor) {
  Grid out = grid;
  out.shape = coarse_shape(grid.shape, factor);
  Point3 middle{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    middle[axis] = 0.5 * static_cast<double>(factor[axis] - 1);
  }
  const Point3 origin = map_point(grid.affine, middle);
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 3; ++column) {
      out.affine[row * 4 + column] *= static_cast<double>(factor[column]);
    }
    out.affine[row * 4 + 3] = origin[row];
  }
  return out;
}

Point3 coarse_point(const Point3& point, const Factor& factor) {
  Point3 out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto size = static_cast<double>(factor[axis]);
    out[axis] = (point[axis] - 0.5 * (size - 1.0)) / size;
  }
  return out;
}

}  // namespace regatta::demo
