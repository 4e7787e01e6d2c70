#include "regatta/volume/preprocess.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "parallel.hpp"
#include "regatta/base/error.hpp"
#include "regatta/volume/resample.hpp"

namespace regatta {
namespace {

constexpr double kSameSpacing = 1e-3;
constexpr double kFilterFrom = 1.5;

/// Source voxels and weights of one packed index along one axis; empty outside the field of view.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;
};

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

/// @param axis  of the packed grid
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

/// Elements between neighbours along the source axis that packed axis `axis` follows.
std::int64_t source_stride(const GridMap& map, std::size_t axis) {
  const Shape3& shape = map.source.shape;
  switch (map.axis[axis]) {
    case 0: return shape[1] * shape[2];
    case 1: return shape[2];
    default: return 1;
  }
}

/// Weighted sum over the taps of the three axes.
float gather(const float* from, const std::array<std::int64_t, 3>& stride, const Taps& d, const Taps& h,
             const Taps& w) {
  double sum = 0.0;
  for (std::size_t a = 0; a < d.weights.size(); ++a) {
    const float* slice = from + (d.first + static_cast<std::int64_t>(a)) * stride[0];
    for (std::size_t b = 0; b < h.weights.size(); ++b) {
      const float* row = slice + (h.first + static_cast<std::int64_t>(b)) * stride[1] + w.first * stride[2];
      const double outer = double{d.weights[a]} * double{h.weights[b]};
      for (std::size_t c = 0; c < w.weights.size(); ++c) {
        sum += outer * double{w.weights[c]} * double{row[static_cast<std::int64_t>(c) * stride[2]]};
      }
    }
  }
  return static_cast<float>(sum);
}

/// True if every packed voxel is a source voxel or lies outside: axes are turned, nothing is interpolated.
bool copies_voxels(const GridMap& map) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (std::abs(map.step[axis]) != 1.0 || map.start[axis] != std::floor(map.start[axis])) {
      return false;
    }
  }
  return true;
}

/// @param convert  from a source voxel to what is stored
template <class To, class Convert>
std::vector<To> copy_voxels(std::span<const float> from, const GridMap& map, To outside, int threads,
                            const Convert& convert) {
  const std::array<std::int64_t, 3> stride = {source_stride(map, 0), source_stride(map, 1), source_stride(map, 2)};
  const Shape3& shape = map.packed.shape;
  std::array<std::int64_t, 3> start{};
  std::array<std::int64_t, 3> step{};
  Shape3 begin{};
  Shape3 end{};  // packed indices inside the source
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t count = map.source.shape[static_cast<std::size_t>(map.axis[axis])];
    start[axis] = static_cast<std::int64_t>(map.start[axis]);
    step[axis] = map.step[axis] > 0 ? 1 : -1;
    const std::int64_t first = step[axis] > 0 ? -start[axis] : start[axis] - (count - 1);
    begin[axis] = std::clamp<std::int64_t>(first, 0, shape[axis]);
    end[axis] = std::clamp<std::int64_t>(first + count, 0, shape[axis]);
  }
  std::vector<To> out(static_cast<std::size_t>(voxel_count(shape)), outside);
  parallel_for(end[0] - begin[0], threads, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t d = begin[0] + first; d < begin[0] + last; ++d) {
      for (std::int64_t h = begin[1]; h < end[1]; ++h) {
        const float* row = from.data() + (start[0] + step[0] * d) * stride[0] + (start[1] + step[1] * h) * stride[1] +
                           (start[2] + step[2] * begin[2]) * stride[2];
        To* to = out.data() + (d * shape[1] + h) * shape[2] + begin[2];
        const std::int64_t move = step[2] * stride[2];
        const std::int64_t length = end[2] - begin[2];
        if (move == 1) {  // known at compile time, the loop is made of vector instructions
          for (std::int64_t w = 0; w < length; ++w) {
            to[w] = convert(row[w]);
          }
        } else {
          for (std::int64_t w = 0; w < length; ++w) {
            to[w] = convert(row[w * move]);
          }
        }
      }
    }
  });
  return out;
}

std::vector<float> resample_linear(std::span<const float> from, const GridMap& map, float outside, int threads) {
  if (copies_voxels(map)) {
    return copy_voxels(from, map, outside, threads, [](float voxel) { return voxel; });
  }
  const std::array<std::vector<Taps>, 3> taps = {linear_taps(map, 0), linear_taps(map, 1), linear_taps(map, 2)};
  const std::array<std::int64_t, 3> stride = {source_stride(map, 0), source_stride(map, 1), source_stride(map, 2)};
  const Shape3& shape = map.packed.shape;
  std::vector<float> out(static_cast<std::size_t>(voxel_count(shape)), outside);
  parallel_for(shape[0], threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = begin; d < end; ++d) {
      float* to = out.data() + d * shape[1] * shape[2];
      for (const Taps& h : taps[1]) {
        for (const Taps& w : taps[2]) {
          const Taps& slice = taps[0][static_cast<std::size_t>(d)];
          if (!slice.weights.empty() && !h.weights.empty() && !w.weights.empty()) {
            *to = gather(from.data(), stride, slice, h, w);
          }
          ++to;
        }
      }
    }
  });
  return out;
}

/// Order-preserving key of a float: 65536 coarse classes and 65536 within each.
std::uint32_t key_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float value_of(std::uint32_t key) {
  return std::bit_cast<float>((key & 0x80000000U) != 0 ? key & 0x7FFFFFFFU : ~key);
}

/// Percentiles of voxels by counting. Whole numbers of 16 bits, which most scans have, take one pass; other values two
/// and one more for each further class of 65536 neighbouring floats that a rank falls into.
class Percentiles {
 public:
  explicit Percentiles(std::span<const float> values) : values_(values), counts_(kClasses, 0) {
    whole_ = count_whole_numbers();
    if (!whole_) {
      std::fill(counts_.begin(), counts_.end(), 0);
      for (const float value : values) {
        ++counts_[key_of(value) >> 16];
      }
    }
  }

  /// With linear interpolation between ranks, as numpy.
  double at(double percent) {
    const double rank = percent / 100.0 * static_cast<double>(values_.size() - 1);
    const auto below = static_cast<std::uint64_t>(std::floor(rank));
    const double low = double{of_rank(below)};
    const double part = rank - std::floor(rank);
    return part == 0.0 ? low : low + part * (double{of_rank(below + 1)} - low);
  }

 private:
  static constexpr std::size_t kClasses = 65536;
  static constexpr int kOffset = 32768;

  bool count_whole_numbers() {
    for (const float value : values_) {
      const bool fits = value >= -32768.0F && value <= 32767.0F;
      const int number = fits ? static_cast<int>(value) : 0;
      if (!fits || static_cast<float>(number) != value) {
        return false;
      }
      ++counts_[static_cast<std::size_t>(number + kOffset)];
    }
    return true;
  }

  static std::uint32_t class_of(const std::vector<std::uint32_t>& counts, std::uint64_t& rank) {
    std::uint32_t found = 0;
    while (rank >= counts[found]) {
      rank -= counts[found++];
    }
    return found;
  }

  float of_rank(std::uint64_t rank) {
    const std::uint32_t high = class_of(counts_, rank);
    if (whole_) {
      return static_cast<float>(static_cast<int>(high) - kOffset);
    }
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

  std::span<const float> values_;
  std::vector<std::uint32_t> counts_;
  bool whole_ = false;
  std::vector<std::uint32_t> fine_;
  std::uint32_t fine_class_ = 0;
};

/// Least and largest, without the branches of std::minmax_element.
std::array<float, 2> extremes(std::span<const float> values) {
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

/// Voxels above the threshold: statistics of the foreground.
std::vector<float> foreground_voxels(const Volume& volume, double above) {
  std::vector<float> values;
  std::copy_if(volume.voxels.begin(), volume.voxels.end(), std::back_inserter(values),
               [above](float voxel) { return double{voxel} > above; });
  REGATTA_REQUIRE(!values.empty(), DataError, volume.source, ": no voxel is above ", above,
                  " (preprocess.foreground_above)");
  return values;
}

std::array<double, 2> mean_and_deviation(std::span<const float> values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0.0;
  for (const float value : values) {
    mean += double{value} / count;
  }
  double variance = 0.0;
  for (const float value : values) {
    variance += (double{value} - mean) * (double{value} - mean) / count;
  }
  return {mean, std::sqrt(variance)};
}

/// What becomes 0 and 1.
IntensityRange intensity_range(const Volume& volume, const IntensityOptions& options, double above) {
  const auto [least, most] = extremes(volume.voxels);
  REGATTA_REQUIRE(least < most, DataError, volume.source, ": constant: every voxel is ", least);
  if (options.kind == "none") {
    return {0.0, 1.0};
  }
  if (options.kind == "minmax") {
    return {double{least}, double{most}};
  }
  if (options.kind == "window") {
    return {options.low, options.high};
  }
  const bool within = options.within == "foreground";
  const std::vector<float> foreground = within ? foreground_voxels(volume, above) : std::vector<float>();
  const std::span<const float> values = within ? foreground : volume.voxels;
  if (options.kind == "zscore") {
    const auto [mean, deviation] = mean_and_deviation(values);
    REGATTA_REQUIRE(deviation > 0.0, DataError, volume.source, ": constant foreground: every voxel is ", mean);
    return {mean + options.low * deviation, mean + options.high * deviation};
  }
  Percentiles percentiles(values);
  const double low = percentiles.at(options.low);
  const double high = percentiles.at(options.high);
  REGATTA_REQUIRE(low < high, DataError, volume.source, ": intensity: percentiles ", options.low, " and ", options.high,
                  " are both ", low, ": nothing to scale");
  return {low, high};
}

/// Middle of the bounding box of voxels above the threshold, in voxels of the source.
Point3 foreground_middle(const Volume& volume, double above) {
  const Shape3& shape = volume.grid.shape;
  Shape3 least = shape;
  Shape3 most = {-1, -1, -1};
  std::size_t at = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++at) {
        if (double{volume.voxels[at]} > above) {
          const Shape3 here = {d, h, w};
          for (std::size_t axis = 0; axis < 3; ++axis) {
            least[axis] = std::min(least[axis], here[axis]);
            most[axis] = std::max(most[axis], here[axis]);
          }
        }
      }
    }
  }
  REGATTA_REQUIRE(most[0] >= 0, DataError, volume.source, ": no voxel is above ", above,
                  " (preprocess.foreground_above)");
  return {static_cast<double>(least[0] + most[0]) / 2, static_cast<double>(least[1] + most[1]) / 2,
          static_cast<double>(least[2] + most[2]) / 2};
}

Affine affine_of(const GridMap& map) {
  Affine index{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto row = static_cast<std::size_t>(map.axis[axis]) * 4;
    index[row + axis] = map.step[axis];
    index[row + 3] = map.start[axis];
  }
  index[15] = 1.0;
  return multiply(map.source.affine, index);
}

/// Resampled voxels to 0..1 and, for bytes, to steps of 1/255.
PreparedImage scaled(const Volume& volume, const Grid& packed, std::vector<float> voxels, const IntensityRange& range,
                     const IntensityOptions& intensity, bool bytes) {
  if (intensity.kind == "none") {
    const auto [lowest, highest] = extremes(voxels);
    REGATTA_REQUIRE(!bytes || (lowest >= 0.0F && highest <= 1.0F), DataError, volume.source, ": voxel value ",
                    lowest < 0.0F ? lowest : highest,
                    ", 0..1 allowed for uint8 without scaling (preprocess.intensity.kind none)");
  } else {
    const double scale = 1.0 / (range.high - range.low);
    for (float& voxel : voxels) {
      voxel = static_cast<float>(std::clamp((double{voxel} - range.low) * scale, 0.0, 1.0));
    }
  }
  if (bytes) {
    for (float& voxel : voxels) {
      voxel = static_cast<float>(static_cast<int>(voxel * 255.0F + 0.5F)) / 255.0F;
    }
  }
  const auto [least, most] = extremes(voxels);
  REGATTA_REQUIRE(least < most, DataError, volume.source, ": constant after cropping and scaling: every voxel is ",
                  least);
  return {packed, std::move(voxels), range.low, range.high};
}

/// For a packed grid that is more than 1.5 times coarser than the volume along an axis: the volume's own grid with
/// such axes at the packed spacing. Which packed axis a volume's axis is closest to decides its spacing.
std::optional<GridMap> coarser_map(const Volume& volume, const Grid& packed) {
  const std::string orientation = orientation_of(volume.grid.affine);
  const AxisMap axes = axes_to(packed.affine, orientation);
  const Spacing3 fine = spacing_of(volume.grid.affine);
  const Spacing3 wanted = spacing_of(packed.affine);
  PreprocessOptions options;
  options.orientation = orientation;
  options.spacing_mm.assign(fine.begin(), fine.end());
  bool coarser = false;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double spacing = wanted[static_cast<std::size_t>(axes.source[axis])];
    if (spacing > kFilterFrom * fine[axis]) {
      options.spacing_mm[axis] = spacing;
      coarser = true;
    }
  }
  return coarser ? std::optional(map_to_packed_grid(volume, options)) : std::nullopt;
}

void validate(const IntensityOptions& intensity, const std::string& pointer) {
  const std::string& kind = intensity.kind;
  const bool used = kind == "percentile" || kind == "window" || kind == "zscore";
  REGATTA_REQUIRE(!used || intensity.low < intensity.high, ConfigError, pointer, ": low ", intensity.low,
                  " is not below high ", intensity.high);
  REGATTA_REQUIRE(kind != "percentile" || (intensity.low >= 0.0 && intensity.high <= 100.0), ConfigError, pointer,
                  ": percentiles ", intensity.low, " and ", intensity.high, ", 0..100 allowed");
  REGATTA_REQUIRE(kind != "zscore" || (intensity.low >= -20.0 && intensity.high <= 20.0), ConfigError, pointer,
                  ": zscore from ", intensity.low, " to ", intensity.high,
                  " standard deviations, -20..20 allowed (such as low -2, high 4)");
}

}  // namespace

void validate(const PreprocessOptions& options) {
  REGATTA_REQUIRE(is_orientation(options.orientation), ConfigError, "/preprocess/orientation: '",
                  one_line(options.orientation, 20), "', three letters, one each of R|L, A|P and S|I, expected");
  REGATTA_REQUIRE(options.spacing_mm.empty() || options.spacing_mm.size() == 3, ConfigError,
                  "/preprocess/spacing_mm: ", options.spacing_mm.size(), " numbers, 0 or 3 expected");
  for (const double spacing : options.spacing_mm) {
    REGATTA_REQUIRE(spacing >= 1e-3 && spacing <= 1e3, ConfigError, "/preprocess/spacing_mm: ", spacing,
                    ", 0.001..1000 allowed");
  }
  REGATTA_REQUIRE(options.shape.empty() || options.shape.size() == 3, ConfigError,
                  "/preprocess/shape: ", options.shape.size(), " numbers, 0 or 3 expected");
  for (const int size : options.shape) {
    REGATTA_REQUIRE(size >= 1 && size <= 4096, ConfigError, "/preprocess/shape: ", size, ", 1..4096 allowed");
  }
  validate(options.intensity, "/preprocess/intensity");
  require_object(options.modalities, "/preprocess/modalities");
  for (const auto& item : options.modalities.items()) {
    validate(intensity_of(options, item.key()), pointer_to("/preprocess/modalities", item.key()));
  }
}

IntensityOptions intensity_of(const PreprocessOptions& options, const std::string& modality) {
  IntensityOptions intensity = options.intensity;
  if (options.modalities.contains(modality)) {
    intensity = {};
    read_options(options.modalities.at(modality), intensity, pointer_to("/preprocess/modalities", modality));
  }
  return intensity;
}

GridMap map_to_packed_grid(const Volume& volume, const PreprocessOptions& options) {
  GridMap map;
  map.source = volume.grid;
  const AxisMap axes = axes_to(volume.grid.affine, options.orientation);
  const Spacing3 spacing = spacing_of(volume.grid.affine);
  const bool foreground = options.center == "foreground" && !options.shape.empty();
  const Point3 middle = foreground ? foreground_middle(volume, options.foreground_above) : Point3{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto source = static_cast<std::size_t>(axes.source[axis]);
    const std::int64_t count = volume.grid.shape[source];
    double step = options.spacing_mm.empty() ? 1.0 : options.spacing_mm[axis] / spacing[source];
    if (std::abs(step - 1.0) <= kSameSpacing) {
      step = 1.0;
    }
    const std::int64_t resampled =
        step == 1.0 ? count : std::max<std::int64_t>(1, std::llround(static_cast<double>(count) / step));
    // Both fields of view have the same middle, so that reversing an axis changes nothing.
    const double offset = (static_cast<double>(count - 1) - static_cast<double>(resampled - 1) * step) / 2.0;
    std::int64_t size = resampled;
    std::int64_t crop = 0;
    if (!options.shape.empty()) {
      size = options.shape[axis];
      const double m = axes.flip[axis] ? static_cast<double>(count - 1) - middle[source] : middle[source];
      crop =
          foreground ? std::llround((m - offset) / step - static_cast<double>(size - 1) / 2.0) : (resampled - size) / 2;
    }
    map.axis[axis] = axes.source[axis];
    map.packed.shape[axis] = size;
    map.start[axis] = offset + step * static_cast<double>(crop);
    map.step[axis] = step;
    if (axes.flip[axis]) {
      map.start[axis] = static_cast<double>(count - 1) - map.start[axis];
      map.step[axis] = -step;
    }
  }
  map.packed.affine = affine_of(map);
  return map;
}

PreparedImage prepare_image(const Volume& volume, const GridMap& map, const PreprocessOptions& options,
                            const IntensityOptions& intensity, int threads) {
  const IntensityRange range = intensity_range(volume, intensity, options.foreground_above);
  return scaled(volume, map.packed, resample_linear(volume.voxels, map, static_cast<float>(range.low), threads), range,
                intensity, options.type == "uint8");
}

PreparedImage prepare_image(const Volume& volume, const PreprocessOptions& options, int threads) {
  return prepare_image(volume, map_to_packed_grid(volume, options), options, options.intensity, threads);
}

PackedVoxels prepare_packed(const Volume& volume, const GridMap& map, const PreprocessOptions& options,
                            const IntensityOptions& intensity, int threads) {
  if (options.type == "uint8" && intensity.kind != "none" && copies_voxels(map)) {
    const IntensityRange range = intensity_range(volume, intensity, options.foreground_above);
    const double scale = 1.0 / (range.high - range.low);
    const auto bytes = copy_voxels<std::uint8_t>(volume.voxels, map, 0, threads, [&](float voxel) {
      const auto value = static_cast<float>(std::clamp((double{voxel} - range.low) * scale, 0.0, 1.0));
      return static_cast<std::uint8_t>(static_cast<int>(value * 255.0F + 0.5F));
    });
    const bool constant = std::all_of(bytes.begin(), bytes.end(), [&](auto byte) { return byte == bytes.front(); });
    REGATTA_REQUIRE(!constant, DataError, volume.source, ": constant after cropping and scaling: every voxel is ",
                    static_cast<double>(bytes.front()) / 255.0);
    const auto span = std::as_bytes(std::span(bytes));
    return {{span.begin(), span.end()}, range};
  }
  return packed_voxels(prepare_image(volume, map, options, intensity, threads), options);
}

PackedVoxels packed_voxels(const PreparedImage& image, const PreprocessOptions& options) {
  if (options.type == "uint8") {
    const auto bytes = to_uint8(image.voxels);
    const auto span = std::as_bytes(std::span(bytes));
    return {{span.begin(), span.end()}, {image.low, image.high}};
  }
  const auto span = std::as_bytes(std::span(image.voxels));
  return {{span.begin(), span.end()}, {image.low, image.high}};
}

PreparedImage prepare_image_on(const Grid& packed, const Volume& volume, const PreprocessOptions& options,
                               const IntensityOptions& intensity, int threads) {
  const IntensityRange range = intensity_range(volume, intensity, options.foreground_above);
  const auto outside = static_cast<float>(range.low);
  const bool bytes = options.type == "uint8";
  const auto coarse = coarser_map(volume, packed);
  if (!coarse) {
    auto voxels = resample_to_grid(volume.voxels, volume.grid, packed, Interpolation::kLinear, outside, threads);
    return scaled(volume, packed, std::move(voxels), range, intensity, bytes);
  }
  const std::vector<float> filtered = resample_linear(volume.voxels, *coarse, outside, threads);
  auto voxels = resample_to_grid(filtered, coarse->packed, packed, Interpolation::kLinear, outside, threads);
  return scaled(volume, packed, std::move(voxels), range, intensity, bytes);
}

std::vector<std::int32_t> prepare_labels(const LabelVolume& labels, const GridMap& map, int threads) {
  REGATTA_REQUIRE(labels.grid.shape == map.source.shape, BugError, labels.source, ": labels on another grid");
  const std::array<std::vector<Taps>, 3> taps = {nearest_taps(map, 0), nearest_taps(map, 1), nearest_taps(map, 2)};
  const std::array<std::int64_t, 3> stride = {source_stride(map, 0), source_stride(map, 1), source_stride(map, 2)};
  const Shape3& shape = map.packed.shape;
  std::vector<std::int32_t> out(static_cast<std::size_t>(voxel_count(shape)), 0);
  parallel_for(shape[0], threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t d = begin; d < end; ++d) {
      std::int32_t* to = out.data() + d * shape[1] * shape[2];
      const Taps& slice = taps[0][static_cast<std::size_t>(d)];
      for (const Taps& h : taps[1]) {
        for (const Taps& w : taps[2]) {
          if (!slice.weights.empty() && !h.weights.empty() && !w.weights.empty()) {
            *to = labels.labels[static_cast<std::size_t>(slice.first * stride[0] + h.first * stride[1] +
                                                         w.first * stride[2])];
          }
          ++to;
        }
      }
    }
  });
  return out;
}

std::vector<std::uint8_t> to_uint8(std::span<const float> voxels) {
  std::vector<std::uint8_t> out(voxels.size());
  std::transform(voxels.begin(), voxels.end(), out.begin(),
                 [](float v) { return static_cast<std::uint8_t>(std::clamp(v, 0.0F, 1.0F) * 255.0F + 0.5F); });
  return out;
}

}  // namespace regatta
