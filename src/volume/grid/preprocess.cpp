#include "regatta/volume/preprocess.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/volume/resample.hpp"
#include "volume/grid/axis_resample.hpp"
#include "volume/grid/intensity.hpp"
#include "volume/grid/middle.hpp"
#include "volume/grid/parallel.hpp"

namespace regatta {
namespace {

constexpr double kSameStep = 1e-3;

Point3 foreground_middle(const Volume& volume, double above) {
  const Shape3& shape = volume.grid.shape;
  BoundingBox box;
  const float* voxel = volume.voxels.data();
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++voxel) {
        if (double{*voxel} > above) {
          box.add({d, h, w});
        }
      }
    }
  }
  return box.middle(volume.source, above);
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
  return map_to_packed_grid(volume.grid, options, [&] { return foreground_middle(volume, options.foreground_above); });
}

GridMap map_to_packed_grid(const Grid& source_grid, const PreprocessOptions& options,
                           const std::function<Point3()>& foreground_middle) {
  GridMap map;
  map.source = source_grid;
  const AxisMap axes = axes_to(source_grid.affine, options.orientation);
  const Spacing3 spacing = spacing_of(source_grid.affine);
  const bool foreground = options.center == "foreground" && !options.shape.empty();
  const Point3 middle = foreground ? foreground_middle() : Point3{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto source = static_cast<std::size_t>(axes.source[axis]);
    const std::int64_t count = source_grid.shape[source];
    double step = options.spacing_mm.empty() ? 1.0 : options.spacing_mm[axis] / spacing[source];
    if (std::abs(step - 1.0) <= kSameStep) {
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

std::optional<GridMap> map_along_axes(const Grid& source, const Grid& packed) {
  constexpr double kNear = 1e-2;
  const Affine index = multiply(invert(source.affine), packed.affine);
  const AxisMap axes = axes_to(source.affine, orientation_of(packed.affine));
  GridMap map;
  map.source = source;
  map.packed = packed;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto row = static_cast<std::size_t>(axes.source[axis]) * 4;
    map.axis[axis] = axes.source[axis];
    map.step[axis] = index[row + axis];
    map.start[axis] = index[row + 3];
  }
  GridMap copies = map;  // whole voxels, if that is near enough: they are then copied exactly
  for (std::size_t axis = 0; axis < 3; ++axis) {
    copies.step[axis] = std::copysign(1.0, map.step[axis]);
    copies.start[axis] = std::round(map.start[axis]);
  }
  for (const GridMap& one : {copies, map}) {
    const Affine found = affine_of(one);
    if (is_usable(found) && same_grid(packed.affine, found, packed.shape, kNear)) {
      return one;
    }
  }
  return std::nullopt;
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
    const auto bytes = copy_voxels<std::uint8_t>(volume.voxels, map, 0, threads,
                                                 [&](float voxel) { return packed_byte(voxel, range.low, scale); });
    const auto span = std::as_bytes(std::span(bytes));
    require_varied(span, volume.source);
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
