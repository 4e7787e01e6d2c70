#include <algorithm>
#include <array>
#include <cmath>

#include "regatta/kernels/warp.hpp"

namespace regatta::kernels {
namespace {

/// Where a point lies along one axis.
struct Along {
  std::int64_t lower;
  double fraction;
  double slope;  ///< of the point with respect to the displacement: 0 where it is held at the border
};

Along along(std::int64_t index, double displacement, std::int64_t size, Outside outside) {
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

}  // namespace

WarpReference warp_reference(const std::vector<double>& source, const std::vector<float>& flow, const VolumeSize& size,
                             Outside outside) {
  const std::int64_t voxels = size.voxels();
  WarpReference out;
  out.warped.resize(static_cast<std::size_t>(size.all()));
  out.gradient.resize(static_cast<std::size_t>(3 * size.all()));
  for (std::int64_t i = 0; i < size.all(); ++i) {
    const std::int64_t n = i / voxels;
    const std::int64_t p = i % voxels;
    const std::array<std::int64_t, 3> sizes = {size.d, size.h, size.w};
    const std::array<std::int64_t, 3> at = {p / size.plane(), p / size.w % size.h, p % size.w};
    std::array<Along, 3> axes{};
    for (std::size_t c = 0; c < 3; ++c) {
      const float u = flow[static_cast<std::size_t>((3 * n + static_cast<std::int64_t>(c)) * voxels + p)];
      axes[c] = along(at[c], u, sizes[c], outside);
    }
    for (unsigned corner = 0; corner < 8; ++corner) {
      std::array<std::int64_t, 3> q{};
      std::array<double, 3> weight{};
      std::array<double, 3> change{};
      bool inside = true;
      for (std::size_t c = 0; c < 3; ++c) {
        const bool upper = (corner >> c & 1U) != 0;
        q[c] = axes[c].lower + (upper ? 1 : 0);
        weight[c] = upper ? axes[c].fraction : 1.0 - axes[c].fraction;
        change[c] = (upper ? 1.0 : -1.0) * axes[c].slope;
        inside = inside && q[c] >= 0 && q[c] < sizes[c];
      }
      if (inside) {
        const double value = source[static_cast<std::size_t>(n * voxels + (q[0] * size.h + q[1]) * size.w + q[2])];
        out.warped[static_cast<std::size_t>(i)] += weight[0] * weight[1] * weight[2] * value;
        const std::array<double, 3> parts = {change[0] * weight[1] * weight[2], weight[0] * change[1] * weight[2],
                                             weight[0] * weight[1] * change[2]};
        for (std::size_t c = 0; c < 3; ++c) {
          out.gradient[static_cast<std::size_t>((3 * n + static_cast<std::int64_t>(c)) * voxels + p)] +=
              parts[c] * value;
        }
      }
    }
  }
  return out;
}

std::size_t quad_count(const VolumeSize& size) {
  return static_cast<std::size_t>(size.n * size.d * (size.h + 1) * (size.w + 1));
}

}  // namespace regatta::kernels
