#include "volume/inspect/orientation_check.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

#include "regatta/volume/resample.hpp"
#include "volume/affine/affine_climb.hpp"
#include "volume/grid/box_average.hpp"
#include "volume/grid/parallel.hpp"
#include "volume/grid/right_angles.hpp"
#include "volume/grid/robust.hpp"

namespace regatta {
namespace {

constexpr double kLongest = 224.0;            ///< units of the longest edge
constexpr double kSpacing = 8.0;              ///< of a coarse scan
constexpr std::int64_t kMeanEdge = 32;        ///< voxels of the mean's grid
constexpr std::size_t kMostOfMean = 64;       ///< scans that make up the mean
constexpr std::size_t kOtherAxesClimbed = 6;  ///< of 46, those that fit best after a short climb
constexpr int kSteps = 15;
constexpr int kShort = 8;

/// A coarse grid cube about the origin.
Grid mean_grid() {
  const double first = -0.5 * kSpacing * static_cast<double>(kMeanEdge - 1);
  return {{kMeanEdge, kMeanEdge, kMeanEdge},
          {kSpacing, 0, 0, first, 0, kSpacing, 0, first, 0, 0, kSpacing, first, 0, 0, 0, 1}};
}

/// The scan seen through a map: out(x) = scan(map(x)) on the mean's grid; nothing through a map that has collapsed.
std::vector<float> seen_through(const Level& scan, const Map& map) {
  Grid source = scan.grid;
  const bool usable = is_usable(map.affine());
  source.affine = usable ? multiply(invert(map.affine()), scan.grid.affine) : Affine{};
  if (!is_usable(source.affine)) {
    return std::vector<float>(static_cast<std::size_t>(voxel_count(mean_grid().shape)), 0.0F);
  }
  return resample_to_grid(scan.values, source, mean_grid(), Interpolation::kLinear, 0.0F, 1);
}

/// What remains of an image on the mean's grid once its slow changes (boxes of 5 voxels, twice) are taken out. The
/// outline of an object and its overall brightness are much alike in all directions; its details are not.
std::vector<float> details_of(const std::vector<float>& image) {
  constexpr std::int64_t kReach = 2;
  constexpr std::array<std::int64_t, 3> kStrides = {kMeanEdge * kMeanEdge, kMeanEdge, 1};
  std::vector<float> slow = image;
  std::vector<float> line(kMeanEdge);
  for (int pass = 0; pass < 2; ++pass) {
    for (const std::int64_t stride : kStrides) {
      for (std::int64_t start = 0; start < kMeanEdge * kMeanEdge; ++start) {
        float* first = slow.data() + start / stride * stride * kMeanEdge + start % stride;
        for (std::int64_t i = 0; i < kMeanEdge; ++i) {
          float sum = 0.0F;
          for (std::int64_t k = std::max<std::int64_t>(0, i - kReach); k <= std::min(kMeanEdge - 1, i + kReach); ++k) {
            sum += first[k * stride];
          }
          line[static_cast<std::size_t>(i)] = sum / static_cast<float>(2 * kReach + 1);
        }
        for (std::int64_t i = 0; i < kMeanEdge; ++i) {
          first[i * stride] = line[static_cast<std::size_t>(i)];
        }
      }
    }
  }
  std::transform(image.begin(), image.end(), slow.begin(), slow.begin(), [](float a, float b) { return a - b; });
  return slow;
}

/// First the turn, about the middle of the mean, then the map.
Map turned(Map map, const Linear& turn) {
  map.linear = product(map.linear, turn);
  return map;
}

bool has_empty_mask(const Level& scan) {
  return std::none_of(scan.mask.begin(), scan.mask.end(), [](std::uint8_t inside) { return inside != 0; });
}

/// Correlation of `a` and `b` where the mean's mask is set.
template <class Value>
double correlation(const std::vector<float>& a, const std::vector<Value>& b, const std::vector<std::uint8_t>& mask) {
  double n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (mask[i] != 0) {
      const double x = a[i];
      const double y = b[i];
      ++n;
      sa += x;
      sb += y;
      saa += x * x;
      sbb += y * y;
      sab += x * y;
    }
  }
  const double va = saa - sa * sa / n;
  const double vb = sbb - sb * sb / n;
  return n > 1 && va > 0 && vb > 0 ? (sab - sa * sb / n) / std::sqrt(va * vb) : 0.0;
}

/// The right-angle turn, mirrored or not, that is closest to a map.
Linear closest_turn(const Map& map) {
  const Linear mirror = mirror_of(0);
  Linear best{};
  double most = -1e300;
  for (const Linear& right : right_angles()) {
    for (const Linear& turn : {right, product(right, mirror)}) {
      const double alike = std::inner_product(turn.begin(), turn.end(), map.linear.begin(), 0.0);
      if (alike > most) {
        most = alike;
        best = turn;
      }
    }
  }
  return best;
}

double mean_of(const std::vector<float>& values, const std::vector<std::uint8_t>& mask) {
  double sum = 0.0;
  double count = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += mask[i] != 0 ? double{values[i]} : 0.0;
    count += mask[i] != 0 ? 1.0 : 0.0;
  }
  return count > 0 ? sum / count : 0.0;
}

class Checker {
 public:
  Checker(std::span<const Level> scans, std::span<const std::string> groups, const std::string& orientation,
          int threads)
      : scans_(scans),
        groups_(groups),
        orientation_(orientation),
        threads_(threads),
        side_axis_(side_axis(orientation)) {
    for (std::size_t i = 0; i < scans.size(); ++i) {
      if (!has_empty_mask(scans[i])) {
        judged_.push_back(i);
      }
    }
  }

  OrientationCheck run();

 private:
  /// One of the scans that make up the mean.
  struct Member {
    std::size_t scan = 0;
    Map map;                        ///< from the mean's space to the scan's
    std::vector<float> seen;        ///< on the mean's grid
    std::vector<float> difference;  ///< seen minus its mirror image, both aligned with the mean
    bool counts = true;             ///< among those whose asymmetry is averaged
  };

  struct Judgement {
    OrientationVerdict verdict;
    Map map;
    std::vector<float> difference;
  };

  void each(std::size_t count, const std::function<void(std::size_t)>& body) const {
    parallel_for(static_cast<std::int64_t>(count), threads_, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        body(static_cast<std::size_t>(i));
      }
    });
  }

  void make_members();
  std::optional<Level> mean_without(const std::string* group) const;
  Map start_map(const Level& mean, std::size_t scan) const;
  Judgement judge(std::size_t scan, const Map* known) const;
  std::vector<double> mean_difference(const std::string& but_group) const;
  double asymmetry_of(const std::vector<float>& difference, const std::string& group) const;
  void judge_axes(std::size_t scan, OrientationVerdict& verdict) const;
  static bool looks_the_same(const Level& mean, const Linear& turn, double fit);
  void settle_asymmetry(std::vector<OrientationVerdict>& verdicts);

  std::span<const Level> scans_;
  std::span<const std::string> groups_;
  std::string orientation_;
  int threads_;
  std::size_t side_axis_;
  std::vector<std::size_t> judged_;
  std::vector<Member> members_;
  Spread usual_fit_;
  std::vector<std::uint8_t> mask_;  ///< foreground of the mean of all members
};

std::optional<Level> Checker::mean_without(const std::string* group) const {
  Volume volume;
  volume.grid = mean_grid();
  std::vector<double> sum(static_cast<std::size_t>(voxel_count(volume.grid.shape)), 0.0);
  bool any = false;
  for (const Member& member : members_) {
    if (group == nullptr || groups_[member.scan] != *group) {
      any = true;
      std::transform(sum.begin(), sum.end(), member.seen.begin(), sum.begin(),
                     [](double s, float v) { return s + double{v}; });
    }
  }
  volume.voxels.assign(sum.begin(), sum.end());
  Level mean = make_level(volume, kSpacing, false, 1);
  return any && !has_empty_mask(mean) ? std::optional(std::move(mean)) : std::nullopt;
}

/// Centres of mass on each other.
Map Checker::start_map(const Level& mean, std::size_t scan) const {
  Map map;
  map.centre = centre_of_mass(mean, "mean");
  const Point3 centre = centre_of_mass(scans_[scan], "scan");
  for (std::size_t axis = 0; axis < 3; ++axis) {
    map.shift[axis] = centre[axis] - map.centre[axis];
  }
  return map;
}

void Checker::make_members() {
  const std::size_t every = (judged_.size() + kMostOfMean - 1) / kMostOfMean;
  for (std::size_t i = 0; i < judged_.size(); i += every) {
    members_.push_back({judged_[i], {}, {}, {}, true});
  }
  each(members_.size(), [&](std::size_t i) {
    Member& member = members_[i];
    const Point3 centre = centre_of_mass(scans_[member.scan], "scan");
    member.map.shift = centre;
    member.seen = seen_through(scans_[member.scan], member.map);
  });
  for (const bool similarity : {true, false}) {
    const auto mean = mean_without(nullptr);
    if (!mean) {
      return;
    }
    each(members_.size(), [&](std::size_t i) {
      Member& member = members_[i];
      const Map start = similarity ? start_map(*mean, member.scan) : member.map;
      member.map = climb(*mean, scans_[member.scan], start, similarity, kSteps, 1).map;
    });
    each(members_.size(),
         [&](std::size_t i) { members_[i].seen = seen_through(scans_[members_[i].scan], members_[i].map); });
  }
}

Checker::Judgement Checker::judge(std::size_t scan, const Map* known) const {
  Judgement out;
  const auto mean = mean_without(&groups_[scan]);
  if (!mean) {
    return out;
  }
  const Level& moving = scans_[scan];
  const Map start = start_map(*mean, scan);
  const Linear mirror = mirror_of(side_axis_);
  const auto near = [&](const Map& from, int steps) { return climb(*mean, moving, from, true, steps, 1); };
  const auto exact = [&](const Map& from) { return climb(*mean, moving, from, false, kSteps, 1); };
  Climb as_is = exact(known != nullptr ? *known : near(start, kSteps).map);
  // Mirrored about the middle of the mean, then aligned again: pose and position do not count as asymmetry.
  Climb mirrored = exact(turned(as_is.map, mirror));
  if (const Climb other = near(turned(start, mirror), kShort); other.ncc > mirrored.ncc) {
    mirrored = exact(other.map);
    if (const Climb back = exact(turned(mirrored.map, mirror)); back.ncc > as_is.ncc) {
      as_is = back;
    }
  }
  OrientationVerdict& v = out.verdict;
  const std::vector<float> mean_details = details_of(mean->values);
  const auto fit_of = [&](const std::vector<float>& seen) {
    return correlation(details_of(seen), mean_details, mean->mask);
  };
  const std::vector<float> image = seen_through(moving, mirrored.map);
  out.difference = seen_through(moving, as_is.map);
  v.judged = true;
  v.as_is = fit_of(out.difference);
  v.mirrored_fit = fit_of(image);
  // What is nearly its own mirror image fits as well mirrored and turned: that alone says nothing.
  const bool clearly_mirrored = 1.0 - v.mirrored_fit < kWrongAxesShare * (1.0 - v.as_is);
  const Linear turn = closest_turn(clearly_mirrored ? mirrored.map : as_is.map);
  if (turn != right_angles().front() && turn != mirror &&
      !looks_the_same(*mean, turn,
                      std::max(v.as_is, v.mirrored_fit))) {  // the climb itself went more than half of a right angle
    v.best_other = std::max(v.as_is, v.mirrored_fit);
    v.best_code = code_of(turn, orientation_);
  }
  double all = 0.0;
  double difference = 0.0;
  const double level = mean_of(out.difference, mean->mask);
  for (std::size_t i = 0; i < image.size(); ++i) {
    const double value = out.difference[i];
    out.difference[i] -= image[i];
    if (mean->mask[i] != 0) {
      all += (value - level) * (value - level);
      difference += double{out.difference[i]} * double{out.difference[i]};
    }
  }
  v.asymmetry_size = all > 0.0 ? std::sqrt(difference / all) : 0.0;
  return out;
}

/// Whether the mean, turned, fits itself so well that a scan's fit after that turn says nothing.
bool Checker::looks_the_same(const Level& mean, const Linear& turn, double fit) {
  Map same;
  same.centre = centre_of_mass(mean, "mean");
  const Map found = climb(mean, mean, turned(same, turn), false, kSteps, 1).map;
  const double own = correlation(details_of(seen_through(mean, found)), details_of(mean.values), mean.mask);
  return 1.0 - fit >= kWrongAxesShare * (1.0 - own);
}

/// Other axes are tried where a scan fits unusually badly as it is.
void Checker::judge_axes(std::size_t scan, OrientationVerdict& v) const {
  const double fit = std::max(v.as_is, v.mirrored_fit);
  const auto mean = mean_without(&groups_[scan]);
  const bool unusual = deviation(fit, usual_fit_, kLeastFitDeviation) < -kWrongAxesDeviation;
  if (!unusual && !v.best_code.empty()) {
    v.wrong_axes = true;
  }
  if (!v.judged || !mean || !unusual) {
    return;
  }
  const Level& moving = scans_[scan];
  const Map start = start_map(*mean, scan);
  const Linear mirror = mirror_of(side_axis_);
  std::vector<Climb> climbs;
  std::vector<Linear> turns = right_angles();
  turns.erase(turns.begin());
  for (const Linear& turn : std::vector<Linear>(turns)) {
    turns.push_back(product(turn, mirror));
  }
  for (const Linear& turn : turns) {
    climbs.push_back(climb(*mean, moving, turned(start, turn), true, kShort, 1));
  }
  std::vector<std::size_t> order(turns.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return climbs[a].ncc > climbs[b].ncc; });
  const std::vector<float> mean_details = details_of(mean->values);
  v.best_other = -1.0;
  Linear best = turns.front();
  for (std::size_t i = 0; i < std::min(kOtherAxesClimbed, order.size()); ++i) {
    const Map found = climb(*mean, moving, climbs[order[i]].map, false, kSteps, 1).map;
    const double other = correlation(details_of(seen_through(moving, found)), mean_details, mean->mask);
    if (other > v.best_other) {
      v.best_other = other;
      best = turns[order[i]];
      v.best_code = code_of(best, orientation_);
    }
  }
  v.wrong_axes = 1.0 - v.best_other < kWrongAxesShare * (1.0 - fit) && !looks_the_same(*mean, best, v.best_other);
}

std::vector<double> Checker::mean_difference(const std::string& but_group) const {
  std::vector<double> sum(static_cast<std::size_t>(voxel_count(mean_grid().shape)), 0.0);
  for (const Member& member : members_) {
    if (member.counts && groups_[member.scan] != but_group && !member.difference.empty()) {
      std::transform(sum.begin(), sum.end(), member.difference.begin(), sum.begin(),
                     [](double s, float v) { return s + double{v}; });
    }
  }
  return sum;
}

double Checker::asymmetry_of(const std::vector<float>& difference, const std::string& group) const {
  return difference.empty() ? 0.0 : correlation(difference, mean_difference(group), mask_);
}

/// Whose asymmetry is like that of the majority? Those that are not are left out of the mean, until nothing changes.
void Checker::settle_asymmetry(std::vector<OrientationVerdict>& verdicts) {
  constexpr int kRounds = 10;
  bool changed = true;
  for (int round = 0; round < kRounds && changed; ++round) {
    std::vector<double> found;
    for (const Member& member : members_) {
      found.push_back(asymmetry_of(member.difference, groups_[member.scan]));
    }
    changed = false;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      verdicts[members_[i].scan].asymmetry = found[i];
      const bool counts = found[i] > 0.0 && !verdicts[members_[i].scan].wrong_axes;
      changed = changed || counts != members_[i].counts;
      members_[i].counts = counts;
    }
  }
}

OrientationCheck Checker::run() {
  OrientationCheck out;
  out.scans.resize(scans_.size());
  if (judged_.size() < kLeastForOrientation) {
    return out;
  }
  make_members();
  const auto mean = mean_without(nullptr);
  if (!mean) {
    return out;
  }
  mask_ = mean->mask;
  each(members_.size(), [&](std::size_t i) {
    Judgement judgement = judge(members_[i].scan, &members_[i].map);
    out.scans[members_[i].scan] = judgement.verdict;
    members_[i].difference = std::move(judgement.difference);
  });
  std::vector<double> fits;
  for (const Member& member : members_) {
    fits.push_back(std::max(out.scans[member.scan].as_is, out.scans[member.scan].mirrored_fit));
  }
  usual_fit_ = spread_of(fits);
  each(members_.size(), [&](std::size_t i) { judge_axes(members_[i].scan, out.scans[members_[i].scan]); });
  settle_asymmetry(out.scans);
  each(judged_.size(), [&](std::size_t i) {
    const std::size_t scan = judged_[i];
    if (std::any_of(members_.begin(), members_.end(), [&](const Member& member) { return member.scan == scan; })) {
      return;
    }
    const Judgement judgement = judge(scan, nullptr);
    out.scans[scan] = judgement.verdict;
    judge_axes(scan, out.scans[scan]);
    out.scans[scan].asymmetry = asymmetry_of(judgement.difference, groups_[scan]);
  });
  std::vector<double> asymmetries;
  std::vector<double> sizes;
  for (const OrientationVerdict& v : out.scans) {
    if (v.judged && !v.wrong_axes) {
      asymmetries.push_back(v.asymmetry);
      sizes.push_back(v.asymmetry_size);
    }
  }
  const Spread spread = spread_of(asymmetries);
  out.common_asymmetry = spread.median;
  out.sides_told = asymmetries.size() >= kLeastForMirrored && spread.median >= kLeastCommonAsymmetry &&
                   median_of(sizes) >= kLeastAsymmetrySize;
  for (OrientationVerdict& v : out.scans) {
    v.mirrored = out.sides_told && v.judged && !v.wrong_axes && v.mirrored_fit > v.as_is &&
                 v.asymmetry < kMirroredAsymmetry && deviation(v.asymmetry, spread, 0.02) < -kMirroredDeviation;
  }
  return out;
}

}  // namespace

Level make_coarse_scan(std::span<const float> image, const Shape3& shape, const Spacing3& spacing) {
  double longest = 0.0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    longest = std::max(longest, static_cast<double>(shape[axis]) * spacing[axis]);
  }
  Volume volume;
  volume.grid.affine = identity_affine();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double units = spacing[axis] * kLongest / longest;
    const auto factor = std::max<std::int64_t>(1, static_cast<std::int64_t>(0.5 * kSpacing / units));
    volume.grid.shape[axis] = std::max<std::int64_t>(1, shape[axis] / factor);
    const double step = units * static_cast<double>(shape[axis]) / static_cast<double>(volume.grid.shape[axis]);
    volume.grid.affine[5 * axis] = step;
    volume.grid.affine[4 * axis + 3] = -0.5 * step * static_cast<double>(volume.grid.shape[axis] - 1);
  }
  volume.voxels = box_average(image, shape, volume.grid.shape);
  Level scan = make_level(volume, kSpacing, false, 1);
  double sum = 0.0;
  double count = 0.0;
  for (std::size_t i = 0; i < scan.values.size(); ++i) {
    if (scan.mask[i] != 0) {
      sum += double{scan.values[i]};
      ++count;
    }
  }
  if (sum > 0.0) {
    const auto gain = static_cast<float>(count / sum);
    std::for_each(scan.values.begin(), scan.values.end(), [gain](float& value) { value *= gain; });
  }
  return scan;
}

OrientationCheck check_orientations(std::span<const Level> scans, std::span<const std::string> groups,
                                    const std::string& orientation, int threads) {
  return Checker(scans, groups, orientation, threads).run();
}

}  // namespace regatta
