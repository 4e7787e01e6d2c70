// Trilinear sampling in float64, for the CPU references: where a point lies, and the eight voxels around it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "regatta/kernels/warp.hpp"

namespace regatta::kernels {

/// Where a point lies along one axis.
struct Along {
  std::int64_t lower;
  double fraction;
  double slope;  ///< of the point with respect to the displacement: 0 where it is held at the border
};

inline Along along(std::int64_t index, double displacement, std::int64_t size, Outside outside) {
  double point = static_cast<double>(index) + displacement;
  double slope = 1.0;
  if (outside == Outside::kBorder) {
    const auto last = static_cast<double>(size - 1);
    slope = point > 0.0 && point < last ? 1.0 : 0.0;
    point = std::clamp(point, 0.0, last);
  }
  const double lower = std::floor(point);
  return {static_cast<std::int64_t>(lower), point - lower, slope};
}

/// One of the voxels around a point.
struct Corner {
  std::int64_t voxel;             ///< in its volume
  double weight;                  ///< of its value
  std::array<double, 3> changes;  ///< of the weight with the displacement's components
};

/// Calls visit(corner) for those inside the volume.
/// @param voxel         where the displacement is, in its volume
/// @param displacement  components D, H, W
template <class Visit>
void visit_corners(std::int64_t voxel, const std::array<double, 3>& displacement, const VolumeSize& size,
                   Outside outside, Visit visit) {
  const std::array<std::int64_t, 3> sizes = {size.d, size.h, size.w};
  const std::array<std::int64_t, 3> at = {voxel / size.plane(), voxel / size.w % size.h, voxel % size.w};
  std::array<Along, 3> axes{};
  for (std::size_t c = 0; c < 3; ++c) {
    axes[c] = along(at[c], displacement[c], sizes[c], outside);
  }
  for (unsigned corner = 0; corner < 8; ++corner) {
    std::array<std::int64_t, 3> q{};
    std::array<double, 3> weight{};
    std::array<double, 3> change{};
    bool inside = true;
    for (std::size_t c = 0; c < 3; ++c) {
      const bool upper = (corner >> (2 - c) & 1U) != 0;
      q[c] = axes[c].lower + (upper ? 1 : 0);
      weight[c] = upper ? axes[c].fraction : 1.0 - axes[c].fraction;
      change[c] = (upper ? 1.0 : -1.0) * axes[c].slope;
      inside = inside && q[c] >= 0 && q[c] < sizes[c];
    }
    if (inside) {
      visit(Corner{
          (q[0] * size.h + q[1]) * size.w + q[2],
          weight[0] * weight[1] * weight[2],
          {change[0] * weight[1] * weight[2], weight[0] * change[1] * weight[2], weight[0] * weight[1] * change[2]}});
    }
  }
}

}  // namespace regatta::kernels
