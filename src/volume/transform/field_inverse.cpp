#include "volume/transform/field_inverse.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "volume/grid/sampling.hpp"

namespace regatta {
namespace {

constexpr int kMostSteps = 60;
constexpr int kMostHalvings = 6;
constexpr double kConverged = 1e-4;         // voxels
constexpr double kLeastDeterminant = 0.05;  // of the Jacobian: below it, Newton's step leads far away

using Matrix3 = std::array<double, 9>;  ///< rows are components

/// The displacement of a voxel and its derivatives; beyond the outer voxels' centres the outer values are repeated.
struct LocalField {
  Point3 u{};
  Matrix3 jacobian{};  ///< of x + u(x)
};

LocalField local_field(const SpaceField& field, const Point3& x) {
  const Shape3& shape = field.grid.shape;
  const std::int64_t voxels = voxel_count(shape);
  const Cell cell(shape, x);
  LocalField out;
  out.jacobian = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (unsigned corner = 0; corner < 8; ++corner) {
    Shape3 at{};
    Point3 weight{};
    Point3 slope{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const bool upper = (corner >> axis & 1U) != 0;
      at[axis] = upper ? cell.high[axis] : cell.low[axis];
      weight[axis] = upper ? cell.part[axis] : 1.0 - cell.part[axis];
      slope[axis] = upper ? 1.0 : -1.0;
    }
    const float* value = field.voxels.data() + (at[0] * shape[1] + at[1]) * shape[2] + at[2];
    const Point3 gradient = {slope[0] * weight[1] * weight[2], weight[0] * slope[1] * weight[2],
                             weight[0] * weight[1] * slope[2]};
    for (std::size_t c = 0; c < 3; ++c) {
      const double v = double{value[static_cast<std::int64_t>(c) * voxels]};
      out.u[c] += weight[0] * weight[1] * weight[2] * v;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        out.jacobian[c * 3 + axis] += gradient[axis] * v;
      }
    }
  }
  return out;
}

double length(const Point3& v) {
  return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

/// Newton's step, or where the map nearly folds the plain fixed-point step.
Point3 step_of(const Matrix3& j, const Point3& residual) {
  const Matrix3 adjugate = {j[4] * j[8] - j[5] * j[7], j[2] * j[7] - j[1] * j[8], j[1] * j[5] - j[2] * j[4],
                            j[5] * j[6] - j[3] * j[8], j[0] * j[8] - j[2] * j[6], j[2] * j[3] - j[0] * j[5],
                            j[3] * j[7] - j[4] * j[6], j[1] * j[6] - j[0] * j[7], j[0] * j[4] - j[1] * j[3]};
  const double determinant = j[0] * adjugate[0] + j[1] * adjugate[3] + j[2] * adjugate[6];
  if (!(determinant > kLeastDeterminant)) {
    return residual;
  }
  Point3 out{};
  for (std::size_t row = 0; row < 3; ++row) {
    out[row] =
        (adjugate[row * 3] * residual[0] + adjugate[row * 3 + 1] * residual[1] + adjugate[row * 3 + 2] * residual[2]) /
        determinant;
  }
  return out;
}

}  // namespace

MappedPoint inverse_displaced(const SpaceField& field, const Point3& y) {
  const Point3 target = map_point(field.to_index, y);
  const auto residual_at = [&target](const Point3& x, const LocalField& local) {
    return Point3{target[0] - x[0] - local.u[0], target[1] - x[1] - local.u[1], target[2] - x[2] - local.u[2]};
  };
  Point3 x = target;
  LocalField local = local_field(field, x);
  Point3 residual = residual_at(x, local);
  for (int step = 0; step < kMostSteps && length(residual) > kConverged; ++step) {
    const Point3 direction = step_of(local.jacobian, residual);
    double share = 1.0;
    bool better = false;
    for (int halving = 0; halving <= kMostHalvings && !better; ++halving, share *= 0.5) {
      const Point3 next = {x[0] + share * direction[0], x[1] + share * direction[1], x[2] + share * direction[2]};
      const LocalField there = local_field(field, next);
      const Point3 left = residual_at(next, there);
      if (length(left) < length(residual)) {
        x = next;
        local = there;
        residual = left;
        better = true;
      }
    }
    if (!better) {
      break;
    }
  }
  const Spacing3 spacing = spacing_of(field.grid.affine);
  const double residual_mm = length(map_vector(field.grid.affine, residual));
  const bool met = residual_mm <= kInverseTolerance * std::min({spacing[0], spacing[1], spacing[2]});
  if (met && inside_view(field.grid.shape, x)) {
    return {map_point(field.grid.affine, x), true, residual_mm};
  }
  if (!inside_view(field.grid.shape, target)) {
    return {y, true, 0.0};  // nothing moves there
  }
  return {map_point(field.grid.affine, x), false, residual_mm};
}

}  // namespace regatta
