#include "volume/grid/taps.hpp"

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

/// Tilts weights (of sum 1) so that their centre of mass is where the sample is: a triangle whose width is no whole
/// number of voxels would otherwise shift structures by up to a tenth of a voxel.
/// @param distances  of the taps from the sample
void center(std::vector<double>& weights, const std::vector<double>& distances) {
  double first = 0.0;
  double second = 0.0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    first += weights[i] * distances[i];
    second += weights[i] * distances[i] * distances[i];
  }
  const double tilt = -first / (second - first * first);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] *= 1.0 + tilt * (distances[i] - first);
  }
}

/// Taps of one sample at `x`, a place inside the axis. @param half  half the width of the triangle
Taps triangle_at(double x, double half, std::int64_t count) {
  const auto first = static_cast<std::int64_t>(std::floor(x - half)) + 1;
  const auto last = static_cast<std::int64_t>(std::ceil(x + half)) - 1;
  std::vector<double> weights;
  std::vector<double> distances;
  double sum = 0.0;
  for (std::int64_t at = std::max<std::int64_t>(0, first); at <= std::min(count - 1, last); ++at) {
    distances.push_back(static_cast<double>(at) - x);
    weights.push_back(1.0 - std::abs(distances.back()) / half);
    sum += weights.back();
  }
  for (double& weight : weights) {
    weight /= sum;
  }
  if (half > 1.0 && first >= 0 && last < count) {  // beyond an end there is nothing to balance with
    center(weights, distances);
  }
  return {std::max<std::int64_t>(0, first), {weights.begin(), weights.end()}};
}

}  // namespace

std::vector<Taps> linear_taps(const GridMap& map, std::size_t axis) {
  const std::int64_t count = map.source.shape[static_cast<std::size_t>(map.axis[axis])];
  const double step = std::abs(map.step[axis]);
  const auto last = static_cast<double>(count - 1);
  std::vector<Taps> taps(static_cast<std::size_t>(map.packed.shape[axis]));
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const double x = map.start[axis] + map.step[axis] * static_cast<double>(i);
    if (x >= -0.5 - 1e-9 && x <= last + 0.5 + 1e-9) {
      taps[i] = triangle_at(std::clamp(x, 0.0, last), step > kFilterFrom ? step : 1.0, count);
    }
  }
  return taps;
}

std::vector<Taps> nearest_taps(const GridMap& map, std::size_t axis) {
  const std::int64_t count = map.source.shape[static_cast<std::size_t>(map.axis[axis])];
  std::vector<Taps> taps(static_cast<std::size_t>(map.packed.shape[axis]));
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const double x = map.start[axis] + map.step[axis] * static_cast<double>(i);
    if (x >= -0.5 - 1e-9 && x <= static_cast<double>(count) - 0.5 + 1e-9) {
      const auto at = static_cast<std::int64_t>(std::floor(x + 0.5));
      taps[i] = {std::clamp<std::int64_t>(at, 0, count - 1), {1.0F}};
    }
  }
  return taps;
}

std::int64_t source_stride(const GridMap& map, std::size_t axis) {
  const Shape3& shape = map.source.shape;
  switch (map.axis[axis]) {
    case 0: return shape[1] * shape[2];
    case 1: return shape[2];
    default: return 1;
  }
}

}  // namespace regatta
