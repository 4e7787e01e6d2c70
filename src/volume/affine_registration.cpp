// From coarse to fine: many starts on the coarsest level, the best of them climbed on the finer ones.
#include "regatta/volume/affine_registration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "affine_climb.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::array<double, 3> kSpacings_mm = {8.0, 4.0, 2.0};

/// A turn about the three axes, in this order.
std::array<double, 9> turn_of(const Point3& degrees) {
  std::array<double, 9> all = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double angle = degrees[axis] * std::numbers::pi / 180.0;
    const std::size_t p = (axis + 1) % 3;
    const std::size_t q = (axis + 2) % 3;
    std::array<double, 9> next = all;
    for (std::size_t k = 0; k < 3; ++k) {
      next[3 * p + k] = std::cos(angle) * all[3 * p + k] - std::sin(angle) * all[3 * q + k];
      next[3 * q + k] = std::sin(angle) * all[3 * p + k] + std::cos(angle) * all[3 * q + k];
    }
    all = next;
  }
  return all;
}

/// The best of many short climbs from turned starts on the coarsest level.
Climb best_start(const Level& fixed, const Level& moving, const Map& centred, int threads) {
  constexpr std::array<double, 3> kTurns = {-20.0, 0.0, 20.0};
  constexpr int kShort = 8;
  constexpr int kLong = 30;
  constexpr std::size_t kKept = 3;
  std::vector<Climb> climbs;
  for (const double a : kTurns) {
    for (const double b : kTurns) {
      for (const double c : kTurns) {
        Map start = centred;
        start.linear = turn_of({a, b, c});
        climbs.push_back(climb(fixed, moving, start, true, kShort, threads));
      }
    }
  }
  std::stable_sort(climbs.begin(), climbs.end(), [](const Climb& a, const Climb& b) { return a.ncc > b.ncc; });
  Climb best;
  for (std::size_t i = 0; i < std::min(kKept, climbs.size()); ++i) {
    Climb further = climb(fixed, moving, climbs[i].map, true, kLong, threads);
    further.iterations += climbs[i].iterations;
    if (further.ncc > best.ncc) {
      best = further;
    }
  }
  return best;
}

}  // namespace

AffineRegistration register_affine(const Volume& fixed, const Volume& moving, int threads) {
  constexpr int kMost = 40;
  const Level coarse_fixed = make_level(fixed, kSpacings_mm[0], false, threads);
  const Level coarse_moving = make_level(moving, kSpacings_mm[0], false, threads);
  for (const auto& [level, source] :
       {std::pair(&coarse_fixed, &fixed.source), std::pair(&coarse_moving, &moving.source)}) {
    const Shape3& shape = level->grid.shape;
    REGATTA_REQUIRE(*std::min_element(shape.begin(), shape.end()) > 1, DataError, *source, ": shape ",
                    shape_text(shape), " at ", kSpacings_mm[0], " mm: too flat for an affine registration");
  }
  Map start;
  start.centre = centre_of_mass(coarse_fixed, fixed.source);
  const Point3 moving_centre = centre_of_mass(coarse_moving, moving.source);
  for (std::size_t i = 0; i < 3; ++i) {
    start.shift[i] = moving_centre[i] - start.centre[i];
  }
  AffineRegistration result;
  result.ncc_before = match_of(coarse_fixed, coarse_moving, start, threads).ncc;
  Climb at = best_start(coarse_fixed, coarse_moving, start, threads);
  REGATTA_REQUIRE(at.ncc > -1.0, DataError, moving.source, ": no place was found where it overlaps with ",
                  fixed.source);
  result.iterations = at.iterations;
  for (std::size_t level = 1; level < kSpacings_mm.size(); ++level) {
    const Level f = make_level(fixed, kSpacings_mm[level], true, threads);
    const Level m = make_level(moving, kSpacings_mm[level], true, threads);
    if (level == 1) {
      at = climb(f, m, at.map, true, kMost, threads);
      result.iterations += at.iterations;
    }
    at = climb(f, m, at.map, false, kMost, threads);
    result.iterations += at.iterations;
  }
  const Match end = match_of(coarse_fixed, coarse_moving, at.map, threads);
  result.fixed_to_moving = at.map.affine();
  result.ncc_after = end.ncc;
  result.overlap = end.overlap;
  return result;
}

double mean_distance(const Affine& a, const Affine& b, const Grid& grid) {
  double sum = 0.0;
  int count = 0;
  for (int corner = 0; corner < 27; ++corner) {
    Point3 p{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const int place = axis == 0 ? corner / 9 : axis == 1 ? corner / 3 % 3 : corner % 3;
      p[axis] = 0.5 * place * static_cast<double>(grid.shape[axis] - 1);
    }
    const Point3 x = map_point(grid.affine, p);
    const Point3 ya = map_point(a, x);
    const Point3 yb = map_point(b, x);
    sum += std::hypot(ya[0] - yb[0], ya[1] - yb[1], ya[2] - yb[2]);
    ++count;
  }
  return sum / count;
}

}  // namespace regatta
