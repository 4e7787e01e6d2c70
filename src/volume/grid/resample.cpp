#include "regatta/volume/resample.hpp"

#include <algorithm>
#include <cmath>

#include "regatta/base/error.hpp"
#include "volume/grid/parallel.hpp"

namespace regatta {
namespace {

constexpr double kEdge = 0.5 + 1e-6;  // half a voxel, and the rounding of two affines

bool inside(const Shape3& shape, const Point3& p) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    // Negated so that NaN is outside.
    if (!(p[axis] >= -kEdge && p[axis] <= static_cast<double>(shape[axis] - 1) + kEdge)) {
      return false;
    }
  }
  return true;
}

/// Trilinear value with the outer voxels repeated beyond the edge.
float sample_linear(const float* voxels, const Shape3& shape, const Point3& p) {
  std::array<std::int64_t, 3> low{};
  std::array<std::int64_t, 3> high{};
  Point3 part{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double x = std::clamp(p[axis], 0.0, static_cast<double>(shape[axis] - 1));
    low[axis] = static_cast<std::int64_t>(x);
    high[axis] = std::min(low[axis] + 1, shape[axis] - 1);
    part[axis] = x - static_cast<double>(low[axis]);
  }
  const auto value = [&](std::int64_t d, std::int64_t h, std::int64_t w) {
    return double{voxels[(d * shape[1] + h) * shape[2] + w]};
  };
  const auto along_w = [&](std::int64_t d, std::int64_t h) {
    return value(d, h, low[2]) * (1.0 - part[2]) + value(d, h, high[2]) * part[2];
  };
  const auto along_h = [&](std::int64_t d) {
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

void require_values(std::size_t found, std::int64_t components, const Grid& grid, const char* what) {
  REGATTA_REQUIRE(static_cast<std::int64_t>(found) == components * voxel_count(grid.shape), BugError, what, ": ", found,
                  " values for a grid of ", shape_text(grid.shape));
}

/// Values at points of the source's index space; `place` gives the point of each target voxel.
template <class T, class Place>
std::vector<T> sample_grid(std::span<const T> voxels, const Shape3& source, const Shape3& target,
                           Interpolation interpolation, T outside, int threads, const Place& place) {
  std::vector<T> out(static_cast<std::size_t>(voxel_count(target)));
  for_each_voxel(target, threads, [&](std::int64_t index, const Point3& x) {
    const Point3 p = place(index, x);
    T& to = out[static_cast<std::size_t>(index)];
    if (!inside(source, p)) {
      to = outside;
      return;
    }
    if constexpr (std::is_same_v<T, float>) {
      if (interpolation == Interpolation::kLinear) {
        to = sample_linear(voxels.data(), source, p);
        return;
      }
    }
    to = sample_nearest(voxels.data(), source, p);
  });
  return out;
}

template <class T>
std::vector<T> resample(std::span<const T> voxels, const Grid& source, const Grid& target, Interpolation interpolation,
                        T outside, int threads) {
  require_values(voxels.size(), 1, source, "resample_to_grid");
  const Affine to_source = multiply(invert(source.affine), target.affine);
  return sample_grid(voxels, source.shape, target.shape, interpolation, outside, threads,
                     [&](std::int64_t, const Point3& x) { return map_point(to_source, x); });
}

template <class T>
std::vector<T> warp(std::span<const T> moving, const Grid& moving_grid, std::span<const float> field, const Grid& fixed,
                    Interpolation interpolation, T outside, int threads) {
  require_values(moving.size(), 1, moving_grid, "warp_with_field: moving");
  require_values(field.size(), 3, fixed, "warp_with_field: field");
  const Affine to_moving = multiply(invert(moving_grid.affine), fixed.affine);
  const std::int64_t voxels = voxel_count(fixed.shape);
  return sample_grid(
      moving, moving_grid.shape, fixed.shape, interpolation, outside, threads,
      [&](std::int64_t index, const Point3& x) {
        const float* u = field.data() + index;
        return map_point(to_moving, {x[0] + double{u[0]}, x[1] + double{u[voxels]}, x[2] + double{u[2 * voxels]}});
      });
}

}  // namespace

std::vector<float> resample_to_grid(std::span<const float> voxels, const Grid& source, const Grid& target,
                                    Interpolation interpolation, float outside, int threads) {
  return resample(voxels, source, target, interpolation, outside, threads);
}

std::vector<std::int32_t> resample_labels_to_grid(std::span<const std::int32_t> labels, const Grid& source,
                                                  const Grid& target, int threads) {
  return resample(labels, source, target, Interpolation::kNearest, std::int32_t{0}, threads);
}

std::vector<float> displacement_on_grid(std::span<const float> field, const Grid& packed, const Affine& packed_moving,
                                        const Grid& target, int threads) {
  require_values(field.size(), 3, packed, "displacement_on_grid");
  const Affine to_packed = multiply(invert(packed.affine), target.affine);
  const Affine to_target = multiply(invert(target.affine), packed_moving);  // packed moving voxel to target voxel
  const std::int64_t packed_voxels = voxel_count(packed.shape);
  const std::int64_t voxels = voxel_count(target.shape);
  std::vector<float> out(static_cast<std::size_t>(3 * voxels));
  for_each_voxel(target.shape, threads, [&](std::int64_t index, const Point3& x) {
    const Point3 g = map_point(to_packed, x);
    Point3 moved{};
    for (std::size_t c = 0; c < 3; ++c) {
      moved[c] =
          g[c] + double{sample_linear(field.data() + static_cast<std::int64_t>(c) * packed_voxels, packed.shape, g)};
    }
    const Point3 y = map_point(to_target, moved);
    for (std::size_t c = 0; c < 3; ++c) {
      out[c * static_cast<std::size_t>(voxels) + static_cast<std::size_t>(index)] = static_cast<float>(y[c] - x[c]);
    }
  });
  return out;
}

std::vector<float> warp_with_field(std::span<const float> moving, const Grid& moving_grid, std::span<const float> field,
                                   const Grid& fixed, Interpolation interpolation, float outside, int threads) {
  return warp(moving, moving_grid, field, fixed, interpolation, outside, threads);
}

std::vector<std::int32_t> warp_labels_with_field(std::span<const std::int32_t> labels, const Grid& moving_grid,
                                                 std::span<const float> field, const Grid& fixed, int threads) {
  return warp(labels, moving_grid, field, fixed, Interpolation::kNearest, std::int32_t{0}, threads);
}

}  // namespace regatta
