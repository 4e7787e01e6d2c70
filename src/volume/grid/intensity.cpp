#include "volume/grid/intensity.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/config/name_table.hpp"

namespace regatta {
namespace {

/// Order-preserving key of a float: 65536 coarse classes and 65536 within each.
std::uint32_t key_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float value_of(std::uint32_t key) {
  return std::bit_cast<float>((key & 0x80000000U) != 0 ? key & 0x7FFFFFFFU : ~key);
}

/// With linear interpolation between ranks, as numpy. @param of_rank  the value of a rank from 0
template <class OfRank>
double percentile(double percent, std::uint64_t count, const OfRank& of_rank) {
  const double rank = percent / 100.0 * static_cast<double>(count - 1);
  const auto below = static_cast<std::uint64_t>(std::floor(rank));
  const double low = double{of_rank(below)};
  const double part = rank - std::floor(rank);
  return part == 0.0 ? low : low + part * (double{of_rank(below + 1)} - low);
}

/// Voxels one by one. Percentiles by counting: a pass, and one more for each class of 65536 neighbouring floats that a
/// rank falls into.
class EachVoxel {
 public:
  explicit EachVoxel(std::span<const float> values) : values_(values) {}

  bool is_empty() const { return values_.empty(); }
  std::array<float, 2> ends() const { return extremes(values_); }

  EachVoxel larger_than(double above) const {
    EachVoxel part({});
    std::copy_if(values_.begin(), values_.end(), std::back_inserter(part.own_),
                 [above](float value) { return double{value} > above; });
    part.values_ = part.own_;
    return part;
  }

  std::array<double, 2> mean_and_deviation() const {
    const auto count = static_cast<double>(values_.size());
    double mean = 0.0;
    for (const float value : values_) {
      mean += double{value} / count;
    }
    double variance = 0.0;
    for (const float value : values_) {
      variance += (double{value} - mean) * (double{value} - mean) / count;
    }
    return {mean, std::sqrt(variance)};
  }

  double percentile_at(double percent) {
    if (coarse_.empty()) {
      coarse_.assign(kClasses, 0);
      for (const float value : values_) {
        ++coarse_[key_of(value) >> 16];
      }
    }
    return percentile(percent, values_.size(), [this](std::uint64_t rank) { return of_rank(rank); });
  }

 private:
  static constexpr std::size_t kClasses = 65536;

  static std::uint32_t class_of(const std::vector<std::uint32_t>& counts, std::uint64_t& rank) {
    std::uint32_t found = 0;
    while (rank >= counts[found]) {
      rank -= counts[found++];
    }
    return found;
  }

  float of_rank(std::uint64_t rank) {
    const std::uint32_t high = class_of(coarse_, rank);
    if (fine_.empty() || fine_class_ != high) {
      fine_class_ = high;
      fine_.assign(kClasses, 0);
      for (const float value : values_) {
        if (const std::uint32_t key = key_of(value); key >> 16 == high) {
          ++fine_[key & 0xFFFFU];
        }
      }
    }
    return value_of(high << 16 | class_of(fine_, rank));
  }

  std::vector<float> own_;
  std::span<const float> values_;
  std::vector<std::uint32_t> coarse_;
  std::vector<std::uint32_t> fine_;
  std::uint32_t fine_class_ = 0;
};

/// Voxels counted by value.
class Counted {
 public:
  explicit Counted(std::vector<ValueCount> values) : values_(std::move(values)) {
    for (const ValueCount& each : values_) {
      count_ += each.count;
    }
  }

  bool is_empty() const { return values_.empty(); }
  std::array<float, 2> ends() const { return {values_.front().value, values_.back().value}; }

  Counted larger_than(double above) const {
    std::vector<ValueCount> part;
    std::copy_if(values_.begin(), values_.end(), std::back_inserter(part),
                 [above](const ValueCount& each) { return double{each.value} > above; });
    return Counted(std::move(part));
  }

  std::array<double, 2> mean_and_deviation() const {
    double mean = 0.0;
    for (const ValueCount& each : values_) {
      mean += double{each.value} * share(each);
    }
    double variance = 0.0;
    for (const ValueCount& each : values_) {
      variance += (double{each.value} - mean) * (double{each.value} - mean) * share(each);
    }
    return {mean, std::sqrt(variance)};
  }

  double percentile_at(double percent) const {
    return percentile(percent, count_, [this](std::uint64_t rank) {
      auto at = values_.begin();
      for (; rank >= at->count; ++at) {
        rank -= at->count;
      }
      return at->value;
    });
  }

 private:
  double share(const ValueCount& each) const { return static_cast<double>(each.count) / static_cast<double>(count_); }

  std::vector<ValueCount> values_;
  std::uint64_t count_ = 0;
};

enum class IntensityKind { kPercentile, kMinMax, kWindow, kZscore, kNone };

constexpr auto kIntensityKinds = name_table<IntensityKind>({{"percentile", IntensityKind::kPercentile},
                                                            {"minmax", IntensityKind::kMinMax},
                                                            {"window", IntensityKind::kWindow},
                                                            {"zscore", IntensityKind::kZscore},
                                                            {"none", IntensityKind::kNone}});

template <class Values>
IntensityRange range_of(Values& all, const std::string& source, const IntensityOptions& options, double above) {
  const auto [least, most] = all.ends();
  REGATTA_REQUIRE(least < most, DataError, source, ": constant: every voxel is ", least);
  const IntensityKind kind = kIntensityKinds.at(options.kind, "/preprocess/intensity/kind");
  if (kind == IntensityKind::kNone) {
    return {0.0, 1.0};
  }
  if (kind == IntensityKind::kMinMax) {
    return {double{least}, double{most}};
  }
  if (kind == IntensityKind::kWindow) {
    return {options.low, options.high};
  }
  if (options.within == "foreground") {
    all = all.larger_than(above);
    REGATTA_REQUIRE(!all.is_empty(), DataError, source, ": no voxel is above ", above,
                    " (preprocess.foreground_above)");
  }
  if (kind == IntensityKind::kZscore) {
    const auto [mean, deviation] = all.mean_and_deviation();
    REGATTA_REQUIRE(deviation > 0.0, DataError, source, ": constant foreground: every voxel is ", mean);
    return {mean + options.low * deviation, mean + options.high * deviation};
  }
  const double low = all.percentile_at(options.low);
  const double high = all.percentile_at(options.high);
  REGATTA_REQUIRE(low < high, DataError, source, ": intensity: percentiles ", options.low, " and ", options.high,
                  " are both ", low, ": nothing to scale");
  return {low, high};
}

}  // namespace

std::array<float, 2> extremes(std::span<const float> values) {
  // In lanes, without the branches of std::minmax_element.
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> least;
  std::array<float, kLanes> most;
  least.fill(values.front());
  most.fill(values.front());
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      least[lane] = values[i + lane] < least[lane] ? values[i + lane] : least[lane];
      most[lane] = values[i + lane] > most[lane] ? values[i + lane] : most[lane];
    }
  }
  for (; i < values.size(); ++i) {
    least[0] = std::min(least[0], values[i]);
    most[0] = std::max(most[0], values[i]);
  }
  return {*std::min_element(least.begin(), least.end()), *std::max_element(most.begin(), most.end())};
}

void require_varied(std::span<const std::byte> bytes, const std::string& source) {
  const bool varied = bytes.size() > 1 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) != 0;
  REGATTA_REQUIRE(varied, DataError, source, ": constant after cropping and scaling: every voxel is ",
                  std::to_integer<int>(bytes.front()) / 255.0);
}

IntensityRange intensity_range(const Volume& volume, const IntensityOptions& options, double above) {
  EachVoxel values(volume.voxels);
  return range_of(values, volume.source, options, above);
}

IntensityRange intensity_range(std::vector<ValueCount> values, const std::string& source,
                               const IntensityOptions& options, double above) {
  Counted counted(std::move(values));
  return range_of(counted, source, options, above);
}

}  // namespace regatta
