#include "volume/pack/pair_overlap.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <span>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/volume/placement.hpp"
#include "volume/grid/otsu.hpp"

namespace regatta {
namespace {

constexpr double kSampleEvery_mm = 4.0;
constexpr std::size_t kLeastSamples = 1000;  // of grids that are smaller nothing can be said
constexpr std::size_t kMostPairs = 1000000;  // of a million subjects' all ordered pairs, the first

/// Every N voxels along an axis, from the middle of the first step.
std::vector<std::int64_t> steps_along(std::int64_t size, double spacing) {
  const auto step = std::max<std::int64_t>(1, std::llround(kSampleEvery_mm / spacing));
  std::vector<std::int64_t> at;
  for (std::int64_t i = std::min(step / 2, size - 1); i < size; i += step) {
    at.push_back(i);
  }
  return at;
}

bool is_set(const std::vector<std::uint64_t>& bits, std::size_t at) {
  return (bits[at / 64] >> (at % 64) & 1U) != 0;
}

void set(std::vector<std::uint64_t>& bits, std::size_t at) {
  bits[at / 64] |= std::uint64_t{1} << (at % 64);
}

}  // namespace

PairOverlaps::PairOverlaps(const Shape3& shape, const Spacing3& spacing) : shape_(shape) {
  for (const std::int64_t d : steps_along(shape[0], spacing[0])) {
    for (const std::int64_t h : steps_along(shape[1], spacing[1])) {
      for (const std::int64_t w : steps_along(shape[2], spacing[2])) {
        samples_.push_back({d, h, w});
      }
    }
  }
}

void PairOverlaps::add(const ArchiveSubject& row, const std::function<float(std::size_t)>& image) {
  View view;
  view.seen.resize((samples_.size() + 63) / 64);
  view.inside.resize(view.seen.size());
  const Affine to_file = multiply(invert(row.original_affine), row.affine);
  std::vector<float> values;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    const auto& [d, h, w] = samples_[i];
    const Point3 p = map_point(to_file, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
    bool seen = true;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      seen = seen && p[axis] >= -0.5 && p[axis] <= static_cast<double>(row.original_shape[axis]) - 0.5;
    }
    if (seen) {
      set(view.seen, i);
      values.push_back(image(static_cast<std::size_t>((d * shape_[1] + h) * shape_[2] + w)));
    }
  }
  const float threshold = values.empty() ? 0.0F : otsu_threshold(values);
  std::size_t next = 0;
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    if (is_set(view.seen, i) && values[next++] > threshold) {
      set(view.inside, i);
      ++view.count;
    }
  }
  views_.push_back(std::move(view));
}

double PairOverlaps::of(std::size_t moving, std::size_t fixed) const {
  const View& a = views_[moving];
  const View& b = views_[fixed];
  std::int64_t both = 0;
  std::int64_t of_a = 0;
  std::int64_t of_b = 0;
  for (std::size_t i = 0; i < a.seen.size(); ++i) {
    const std::uint64_t shared = a.seen[i] & b.seen[i];
    both += std::popcount(a.inside[i] & b.inside[i] & shared);
    of_a += std::popcount(a.inside[i] & shared);
    of_b += std::popcount(b.inside[i] & shared);
  }
  const bool enough = 4 * of_a >= a.count || 4 * of_b >= b.count;
  return enough && of_a + of_b > 0 ? 2.0 * static_cast<double>(both) / static_cast<double>(of_a + of_b) : 0.0;
}

std::string PairOverlaps::doubt(const std::vector<ArchiveSubject>& subjects,
                                const std::vector<ArchivePair>& pairs) const {
  std::vector<std::pair<double, ArchivePair>> poor;
  std::set<std::pair<std::int64_t, std::int64_t>> seen;  // the same two in several splits and both ways
  const std::size_t count = samples_.size() < kLeastSamples ? 0 : std::min(kMostPairs, pairs.size());
  for (std::size_t i = 0; i < count; ++i) {
    const ArchivePair& pair = pairs[i];
    const double overlap = of(static_cast<std::size_t>(pair.moving), static_cast<std::size_t>(pair.fixed));
    if (overlap < kPoorOverlap && seen.insert(std::minmax({pair.moving, pair.fixed})).second) {
      poor.emplace_back(overlap, pair);
    }
  }
  if (poor.empty()) {
    return "";
  }
  std::stable_sort(poor.begin(), poor.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  constexpr std::size_t kNamed = 3;
  std::vector<std::string> named;
  for (std::size_t i = 0; i < std::min(kNamed, poor.size()); ++i) {
    const ArchivePair& pair = poor[i].second;
    named.push_back(str("'", subjects[static_cast<std::size_t>(pair.moving)].id, "' and '",
                        subjects[static_cast<std::size_t>(pair.fixed)].id, "' ", fixed_text(poor[i].first, 2)));
  }
  return str("pairs of scans that hardly lie on each other: ", poor.size(), " (their foregrounds overlap less than ",
             fixed_text(kPoorOverlap, 1), "): ", join(named, ", "), poor.size() > kNamed ? ", ..." : "");
}

}  // namespace regatta
