// From coarse to fine: many starts on the coarsest level, the best of them climbed on the finer ones.
#include "regatta/volume/affine_registration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/base/text_table.hpp"
#include "volume/affine/affine_climb.hpp"

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

struct CoarseScan {
  Level level;
  Point3 centre{};  ///< of mass
};

/// @throws DataError as `require_alignable`
CoarseScan coarse_scan(const Volume& volume, int threads) {
  CoarseScan out{make_level(volume, kSpacings_mm[0], false, threads), {}};
  const Spacing3 spacing = spacing_of(volume.grid.affine);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    REGATTA_REQUIRE(out.level.grid.shape[axis] > 1, DataError, volume.source, ": its voxels span ",
                    spacing[axis] * static_cast<double>(volume.grid.shape[axis]), " mm along axis ", axis,
                    ": too flat for an affine alignment, which needs about ", 2.0 * kSpacings_mm[0]);
  }
  out.centre = centre_of_mass(out.level, volume.source);
  return out;
}

}  // namespace

AffineRegistration register_affine(const Volume& fixed, const Volume& moving, int threads) {
  constexpr int kMost = 40;
  const CoarseScan coarse_fixed = coarse_scan(fixed, threads);
  const CoarseScan coarse_moving = coarse_scan(moving, threads);
  Map start;
  start.centre = coarse_fixed.centre;
  for (std::size_t i = 0; i < 3; ++i) {
    start.shift[i] = coarse_moving.centre[i] - start.centre[i];
  }
  Climb at = best_start(coarse_fixed.level, coarse_moving.level, start, threads);
  REGATTA_REQUIRE(at.ncc > -1.0, DataError, moving.source, ": no place was found where its field of view covers ",
                  static_cast<int>(100.0 * kLeastOverlap), " % of what ", fixed.source,
                  " shows; leave this scan out, or align none");
  AffineRegistration result;
  result.iterations = at.iterations;
  const auto refine = [&](const Level& f, const Level& m, bool similarity) {
    at = climb(f, m, at.map, similarity, kMost, threads);
    result.iterations += at.iterations;
  };
  const Level middle_fixed = make_level(fixed, kSpacings_mm[1], true, threads);
  const Level middle_moving = make_level(moving, kSpacings_mm[1], true, threads);
  refine(middle_fixed, middle_moving, true);
  refine(middle_fixed, middle_moving, false);
  refine(make_level(fixed, kSpacings_mm[2], true, threads), make_level(moving, kSpacings_mm[2], true, threads), false);
  result.fixed_to_moving = at.map.affine();
  result.ncc_before = match_of(middle_fixed, middle_moving, start, threads).ncc;
  result.ncc_after = match_of(middle_fixed, middle_moving, at.map, threads).ncc;
  result.overlap = match_of(coarse_fixed.level, coarse_moving.level, at.map, threads).overlap;
  return result;
}

void require_alignable(const Volume& volume, int threads) {
  coarse_scan(volume, threads);
}

std::string alignment_doubt(double ncc, const Affine& fixed_to_moving) {
  constexpr double kMostVolume = 8.0;  // twice the size along each axis
  const double volume = determinant(fixed_to_moving);
  if (volume < 1.0 / kMostVolume || volume > kMostVolume) {
    return volume < 0.0
               ? str("it is a reflection, volumes times ", fixed_text(volume, 2))
               : str("volumes times ", fixed_text(volume, 3), ", expected ", 1.0 / kMostVolume, "..", kMostVolume);
  }
  return ncc < kPoorAlignment ? str("local correlation ", fixed_text(ncc, 3), ", expected above ", kPoorAlignment)
                              : std::string();
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
