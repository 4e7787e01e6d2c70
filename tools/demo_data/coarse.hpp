// Scans of fewer voxels: blocks of a finer one, for a smaller demo and for tests that need a release's layout, not its
// detail.
#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta::demo {

/// Voxels along each axis that become one.
using Factor = Shape3;

inline constexpr Factor kWhole = {1, 1, 1};
inline constexpr Factor kHalf = {2, 2, 2};

/// Voxels of a last, incomplete block are left out.
Shape3 coarse_shape(const Shape3& shape, const Factor& factor);

/// The grid whose voxels lie in the middle of the blocks.
Grid coarse_grid(const Grid& grid, const Factor& factor);

/// Where the coarse grid has a point of the fine one, in voxels.
Point3 coarse_point(const Point3& point, const Factor& factor);

/// Calls `visit(first)` for each block in the order of the coarse grid; `first` is the flat index of its first voxel.
template <class Visit>
void for_each_block(const Shape3& shape, const Factor& factor, Visit&& visit) {
  const Shape3 coarse = coarse_shape(shape, factor);
  for (std::int64_t d = 0; d < coarse[0]; ++d) {
    for (std::int64_t h = 0; h < coarse[1]; ++h) {
      for (std::int64_t w = 0; w < coarse[2]; ++w) {
        visit((d * factor[0] * shape[1] + h * factor[1]) * shape[2] + w * factor[2]);
      }
    }
  }
}

/// An image: means of the blocks, rounded where T is an integer.
template <class T>
std::vector<T> block_means(const std::vector<T>& values, const Shape3& shape, const Factor& factor) {
  std::vector<T> out;
  for_each_block(shape, factor, [&](std::int64_t first) {
    double sum = 0.0;
    for (std::int64_t d = 0; d < factor[0]; ++d) {
      for (std::int64_t h = 0; h < factor[1]; ++h) {
        for (std::int64_t w = 0; w < factor[2]; ++w) {
          sum += static_cast<double>(values[static_cast<std::size_t>(first + (d * shape[1] + h) * shape[2] + w)]);
        }
      }
    }
    const double mean = sum / static_cast<double>(factor[0] * factor[1] * factor[2]);
    out.push_back(static_cast<T>(std::is_integral_v<T> ? std::round(mean) : mean));
  });
  return out;
}

/// Labels: those of the blocks' first voxels.
template <class T>
std::vector<T> block_firsts(const std::vector<T>& values, const Shape3& shape, const Factor& factor) {
  std::vector<T> out;
  for_each_block(shape, factor, [&](std::int64_t first) { out.push_back(values[static_cast<std::size_t>(first)]); });
  return out;
}

}  // namespace regatta::demo
