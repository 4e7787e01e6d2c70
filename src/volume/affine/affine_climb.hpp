// The climb of affine registration on one level of the pyramid: from a map of millimetres uphill to where the
// correlation of two scans has its maximum. Private to this layer.
#pragma once

#include <array>

#include "volume/affine/affine_level.hpp"

namespace regatta {

/// y = linear (x - centre) + centre + shift, all in RAS mm.
struct Map {
  std::array<double, 9> linear = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  Point3 shift{};
  Point3 centre{};

  Point3 operator()(const Point3& x) const {
    const Point3 r = {x[0] - centre[0], x[1] - centre[1], x[2] - centre[2]};
    Point3 y{};
    for (std::size_t i = 0; i < 3; ++i) {
      y[i] = linear[3 * i] * r[0] + linear[3 * i + 1] * r[1] + linear[3 * i + 2] * r[2] + centre[i] + shift[i];
    }
    return y;
  }

  Affine affine() const {
    const Point3 origin = (*this)({0.0, 0.0, 0.0});
    return {linear[0], linear[1], linear[2], origin[0], linear[3], linear[4], linear[5], origin[1],
            linear[6], linear[7], linear[8], origin[2], 0.0,       0.0,       0.0,       1.0};
  }
};

/// A map counts only if the moving field of view covers this share of the fixed foreground.
inline constexpr double kLeastOverlap = 0.25;

struct Climb {
  Map map;
  double ncc = -2.0;
  double overlap = 0.0;
  int iterations = 0;
};

struct Match {
  double ncc = 0.0;      ///< Pearson correlation within the fixed foreground
  double overlap = 0.0;  ///< share of the fixed foreground that the moving field of view covers
};

/// How well two scans agree under a map.
Match match_of(const Level& fixed, const Level& moving, const Map& map, int threads);

/// Goes uphill from a map until steps get small; a mirrored map stays mirrored. The same for any number of threads.
/// @param similarity  seven parameters, else twelve
/// @param most        iterations
Climb climb(const Level& fixed, const Level& moving, const Map& start, bool similarity, int most, int threads);

}  // namespace regatta
