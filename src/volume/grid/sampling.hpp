// Values of a volume between its voxels, and loops over a grid. Points are in voxels of the volume; its field of view
// reaches half a voxel beyond the outer voxels' centres, and inside it the outer voxels are repeated, as in ITK.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "regatta/volume/geometry.hpp"
#include "volume/grid/parallel.hpp"

namespace regatta {

inline constexpr double kEdge = 0.5 + 1e-6;  // half a voxel, and the rounding of two affines

/// True within the field of view; NaN is outside.
inline bool inside_view(const Shape3& shape, const Point3& p) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (!(p[axis] >= -kEdge && p[axis] <= static_cast<double>(shape[axis] - 1) + kEdge)) {
      return false;
    }
  }
  return true;
}

/// The eight voxels about a point and how much of the way to the upper ones it lies.
struct Cell {
  std::array<std::int64_t, 3> low{};
  std::array<std::int64_t, 3> high{};
  Point3 part{};

  Cell(const Shape3& shape, const Point3& p) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double x = std::clamp(p[axis], 0.0, static_cast<double>(shape[axis] - 1));
      low[axis] = static_cast<std::int64_t>(x);
      high[axis] = std::min(low[axis] + 1, shape[axis] - 1);
      part[axis] = x - static_cast<double>(low[axis]);
    }
  }
};

/// Trilinear value with the outer voxels repeated beyond the edge.
inline float sample_linear(const float* voxels, const Shape3& shape, const Point3& p) {
  const auto [low, high, part] = Cell(shape, p);
  const auto value = [&shape, voxels](std::int64_t d, std::int64_t h, std::int64_t w) {
    return double{voxels[(d * shape[1] + h) * shape[2] + w]};
  };
  const auto along_w = [&, low = low, high = high, part = part](std::int64_t d, std::int64_t h) {
    return value(d, h, low[2]) * (1.0 - part[2]) + value(d, h, high[2]) * part[2];
  };
  const auto along_h = [&, low = low, high = high, part = part](std::int64_t d) {
    return along_w(d, low[1]) * (1.0 - part[1]) + along_w(d, high[1]) * part[1];
  };
  return static_cast<float>(along_h(low[0]) * (1.0 - part[0]) + along_h(high[0]) * part[0]);
}

template <class T>
T sample_nearest(const T* voxels, const Shape3& shape, const Point3& p) {
  std::array<std::int64_t, 3> at{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    at[axis] = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(p[axis] + 0.5)), 0, shape[axis] - 1);
  }
  return voxels[(at[0] * shape[1] + at[1]) * shape[2] + at[2]];
}

/// Calls body(index, point) for each voxel of a grid; slices are shared out over threads.
template <class Body>
void for_each_voxel(const Shape3& shape, int threads, const Body& body) {
  parallel_for(shape[0], threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = begin; d < end; ++d) {
      for (std::int64_t h = 0; h < shape[1]; ++h) {
        for (std::int64_t w = 0; w < shape[2]; ++w) {
          body((d * shape[1] + h) * shape[2] + w,
               Point3{static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
        }
      }
    }
  });
}

}  // namespace regatta
