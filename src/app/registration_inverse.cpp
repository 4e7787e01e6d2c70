#include "app/registration_inverse.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "regatta/volume/transform.hpp"

namespace regatta::app {
namespace {

/// Whether x lies in the field of view of a grid. @param index  voxels
bool is_inside(const Point3& index, const Shape3& shape) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (index[axis] < -0.5 || index[axis] > static_cast<double>(shape[axis]) - 0.5) {
      return false;
    }
  }
  return true;
}

/// What the network's inverse and the field, one after the other, leave of a move.
InverseField measured_inverse(std::vector<float> inverse, const Transform& forward, const Grid& fixed,
                              const Grid& moving) {
  const std::int64_t count = voxel_count(moving.shape);
  Transform there_and_back = Transform::of_field(moving, inverse);
  there_and_back.append(forward);
  const ComposedField rest = compose_field(there_and_back, moving);
  const Affine to_fixed = multiply(invert(fixed.affine), moving.affine);
  InverseField out;
  std::int64_t measured = 0;
  std::int64_t voxel = 0;
  const auto vector_of = [count](const std::vector<float>& field, std::int64_t at) {
    const auto component = [&](std::int64_t c) { return double{field[static_cast<std::size_t>(c * count + at)]}; };
    return Point3{component(0), component(1), component(2)};
  };
  for (std::int64_t d = 0; d < moving.shape[0]; ++d) {
    for (std::int64_t h = 0; h < moving.shape[1]; ++h) {
      for (std::int64_t w = 0; w < moving.shape[2]; ++w, ++voxel) {
        const Point3 u = vector_of(inverse, voxel);
        const Point3 end = {static_cast<double>(d) + u[0], static_cast<double>(h) + u[1],
                            static_cast<double>(w) + u[2]};
        if (!is_inside(map_point(to_fixed, end), fixed.shape)) {
          ++out.missing;
          continue;
        }
        const Point3 off = map_vector(moving.affine, vector_of(rest.field, voxel));
        const double residual = std::hypot(off[0], off[1], off[2]);
        out.mean_residual_mm += residual;
        out.largest_residual_mm = std::max(out.largest_residual_mm, residual);
        ++measured;
      }
    }
  }
  out.mean_residual_mm /= static_cast<double>(std::max<std::int64_t>(measured, 1));
  out.field = std::move(inverse);
  out.by = "network";
  return out;
}

}  // namespace

InverseField inverse_of(const Registration& found, const Grid& fixed) {
  const Transform forward = Transform::of_field(fixed, found.field);
  if (!found.network_inverse.empty()) {
    InverseField of_network = measured_inverse(found.network_inverse, forward, fixed, found.moving_grid);
    const Spacing3 spacing = spacing_of(found.moving_grid.affine);
    if (of_network.mean_residual_mm <= kExactInverse * *std::min_element(spacing.begin(), spacing.end())) {
      return of_network;
    }
  }
  ComposedField found_back = compose_field(forward.inverse(), found.moving_grid);
  return {std::move(found_back.field), "iteration", found_back.mean_residual_mm, found_back.largest_residual_mm,
          found_back.missing};
}

}  // namespace regatta::app
