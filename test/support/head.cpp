#include "support/head.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace regatta::test {

Volume head(const Shape3& shape, double spacing, double size) {
  struct Blob {
    Point3 at, radius;
    double value;
  };
  const std::vector<Blob> blobs = {
      {{0.50, 0.50, 0.50}, {0.38, 0.44, 0.40}, 0.5}, {{0.45, 0.62, 0.55}, {0.12, 0.10, 0.2}, 0.4},
      {{0.62, 0.40, 0.42}, {0.10, 0.16, 0.08}, 0.3}, {{0.35, 0.38, 0.60}, {0.08, 0.07, 0.09}, -0.3},
      {{0.55, 0.75, 0.40}, {0.06, 0.08, 0.07}, 0.5}, {{0.60, 0.55, 0.70}, {0.09, 0.05, 0.06}, -0.2}};
  Volume volume;
  volume.source = "head";
  volume.affine_source = "sform";
  volume.grid.shape = shape;
  volume.grid.affine = {spacing, 0, 0, -75, 0, spacing, 0, -100, 0, 0, spacing, -65, 0, 0, 0, 1};
  volume.voxels.resize(static_cast<std::size_t>(voxel_count(shape)));
  std::size_t index = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
        const Point3 p = {(static_cast<double>(d) + 0.5) / static_cast<double>(shape[0]),
                          (static_cast<double>(h) + 0.5) / static_cast<double>(shape[1]),
                          (static_cast<double>(w) + 0.5) / static_cast<double>(shape[2])};
        double value = 0.0;
        for (const Blob& blob : blobs) {
          double r = 0.0;
          for (std::size_t i = 0; i < 3; ++i) {
            r += std::pow((p[i] - 0.5 - size * (blob.at[i] - 0.5)) / (size * blob.radius[i]), 2);
          }
          value += blob.value * std::clamp(4.0 * (1.0 - std::sqrt(r)), 0.0, 1.0);
        }
        volume.voxels[index] = static_cast<float>(std::max(value, 0.0));
      }
    }
  }
  return volume;
}

Volume cut(const Volume& volume, std::size_t axis, std::int64_t begin, std::int64_t end) {
  Volume out = volume;
  out.grid.shape[axis] = end - begin;
  Point3 first{};
  first[axis] = static_cast<double>(begin);
  const Point3 origin = map_point(volume.grid.affine, first);
  for (std::size_t row = 0; row < 3; ++row) {
    out.grid.affine[4 * row + 3] = origin[row];
  }
  out.voxels.clear();
  const Shape3& shape = volume.grid.shape;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w) {
        const Shape3 at = {d, h, w};
        if (at[axis] >= begin && at[axis] < end) {
          out.voxels.push_back(volume.voxels[static_cast<std::size_t>((d * shape[1] + h) * shape[2] + w)]);
        }
      }
    }
  }
  return out;
}

Grid turned_grid(const Grid& grid, double degrees, const Point3& shift_mm) {
  const double c = std::cos(degrees * std::numbers::pi / 180.0);
  const double s = std::sin(degrees * std::numbers::pi / 180.0);
  const Affine about_x = {1, 0, 0, 0, 0, c, -s, 0, 0, s, c, 0, 0, 0, 0, 1};
  const Affine about_y = {c, 0, s, 0, 0, 1, 0, 0, -s, 0, c, 0, 0, 0, 0, 1};
  const Affine about_z = {c, -s, 0, 0, s, c, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
  const Point3 half = {0.5 * static_cast<double>(grid.shape[0] - 1), 0.5 * static_cast<double>(grid.shape[1] - 1),
                       0.5 * static_cast<double>(grid.shape[2] - 1)};
  const Point3 middle = map_point(grid.affine, half);
  Grid out = grid;
  out.affine = multiply(about_z, multiply(about_y, multiply(about_x, grid.affine)));
  const Point3 moved = map_point(out.affine, half);
  for (std::size_t row = 0; row < 3; ++row) {
    out.affine[4 * row + 3] += middle[row] - moved[row] + shift_mm[row];
  }
  return out;
}

}  // namespace regatta::test
