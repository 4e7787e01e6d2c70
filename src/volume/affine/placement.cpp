#include "regatta/volume/placement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/volume/resample.hpp"
#include "volume/affine/affine_level.hpp"
#include "volume/grid/otsu.hpp"

namespace regatta {
namespace {

constexpr double kSearchSpacing_mm = 4.0;
constexpr double kLeastShared = 0.25;  ///< of a foreground, within both fields of view

/// The fixed scan's millimetres to the moving one's where both packed grids are one.
Affine about_middles(const Volume& fixed, const Volume& moving, const PreprocessOptions& options) {
  const Affine fixed_packed = map_to_packed_grid(fixed, options).packed.affine;
  const Affine moving_packed = map_to_packed_grid(moving, options).packed.affine;
  return multiply(moving_packed, invert(fixed_packed));
}

Affine about_foregrounds(const Foreground& fixed, const Foreground& moving) {
  Affine shift = identity_affine();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    shift[axis * 4 + 3] = moving.centre[axis] - fixed.centre[axis];
  }
  return shift;
}

std::int64_t count_of(const Foreground& foreground) {
  return std::count(foreground.inside.begin(), foreground.inside.end(), std::uint8_t{1});
}

}  // namespace

Foreground foreground_of(const Volume& volume, int threads) {
  Level level = make_level(volume, kSearchSpacing_mm, false, threads);
  const Point3 centre = centre_of_mass(level, volume.source);
  return {level.grid, std::move(level.foreground), centre};
}

double overlap_of(const Foreground& fixed, const Foreground& moving, const Affine& fixed_to_moving) {
  const Affine to_moving = multiply(invert(moving.grid.affine), multiply(fixed_to_moving, fixed.grid.affine));
  std::int64_t both = 0;
  std::int64_t of_fixed = 0;
  std::int64_t of_moving = 0;
  std::size_t at = 0;
  for (std::int64_t d = 0; d < fixed.grid.shape[0]; ++d) {
    for (std::int64_t h = 0; h < fixed.grid.shape[1]; ++h) {
      for (std::int64_t w = 0; w < fixed.grid.shape[2]; ++w, ++at) {
        const Point3 p = map_point(to_moving, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)});
        std::int64_t index = 0;
        bool seen = true;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const auto nearest = static_cast<std::int64_t>(std::floor(p[axis] + 0.5));
          seen = seen && nearest >= 0 && nearest < moving.grid.shape[axis];
          index = index * moving.grid.shape[axis] + nearest;
        }
        if (seen) {
          const std::uint8_t a = fixed.inside[at];
          const std::uint8_t b = moving.inside[static_cast<std::size_t>(index)];
          both += a & b;
          of_fixed += a;
          of_moving += b;
        }
      }
    }
  }
  // The moving foreground is counted in the fixed grid's voxels.
  const double scale = std::abs(determinant(to_moving));
  const bool enough = static_cast<double>(of_fixed) >= kLeastShared * static_cast<double>(count_of(fixed)) ||
                      static_cast<double>(of_moving) * scale >= kLeastShared * static_cast<double>(count_of(moving));
  return enough && of_fixed + of_moving > 0
             ? 2.0 * static_cast<double>(both) / static_cast<double>(of_fixed + of_moving)
             : 0.0;
}

Affine affine_in_space_of(const Volume& fixed, const Volume& moving, const PreprocessOptions& options) {
  return multiply(invert(about_middles(fixed, moving, options)), moving.grid.affine);
}

Placement place_moving(const Volume& fixed, const Volume& moving, const PreprocessOptions& options,
                       const std::string& asked, int threads) {
  Placement out;
  out.common_space = has_space(fixed.affine_source) && has_space(moving.affine_source);
  REGATTA_REQUIRE(asked != "physical" || out.common_space, ConfigError,
                  "--initial physical: ", has_space(fixed.affine_source) ? moving.source : fixed.source,
                  " does not say where the scan lies (npz, or sform and qform code 0); centre or foreground allowed");
  const Foreground of_fixed = foreground_of(fixed, threads);
  const Foreground of_moving = foreground_of(moving, threads);
  std::vector<std::pair<std::string, Affine>> rules;
  if (out.common_space) {
    rules.emplace_back("physical", identity_affine());
  }
  rules.emplace_back("centre", about_middles(fixed, moving, options));
  rules.emplace_back("foreground", about_foregrounds(of_fixed, of_moving));
  std::transform(rules.begin(), rules.end(), std::back_inserter(out.overlaps),
                 [&](const auto& rule) { return std::pair(rule.first, overlap_of(of_fixed, of_moving, rule.second)); });
  const auto overlap = [&](const std::string& rule) {
    return std::find_if(out.overlaps.begin(), out.overlaps.end(), [&](const auto& one) { return one.first == rule; })
        ->second;
  };
  out.rule = asked;
  if (asked.empty() && !out.common_space) {
    out.rule = "centre";
  } else if (asked.empty()) {
    const bool good = overlap("physical") > 0.0 && overlap("physical") >= kAsGoodAsCentred * overlap("centre");
    out.rule = good ? "physical" : "foreground";
  }
  out.overlap = overlap(out.rule);
  out.fixed_to_moving =
      std::find_if(rules.begin(), rules.end(), [&](const auto& rule) { return rule.first == out.rule; })->second;
  return out;
}

void move_placement(Placement& placement, const Volume& fixed, const Volume& moving, const Affine& fixed_to_moving,
                    int threads) {
  placement.rule = "affine";
  placement.fixed_to_moving = fixed_to_moving;
  placement.overlap = overlap_of(foreground_of(fixed, threads), foreground_of(moving, threads), fixed_to_moving);
}

std::string placement_doubt(const Placement& placement) {
  if (placement.overlap >= kPoorOverlap) {
    return "";
  }
  const auto best = std::max_element(placement.overlaps.begin(), placement.overlaps.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  const std::string found = str("foregrounds overlap ", fixed_text(placement.overlap, 2), ", expected at least ",
                                fixed_text(kPoorOverlap, 1));
  if (best != placement.overlaps.end() && best->second >= kPoorOverlap && placement.rule != "affine") {
    return str(found, "; --initial ", best->first, " gives ", fixed_text(best->second, 2));
  }
  if (placement.rule == "affine") {
    return found;
  }
  return str(found, placement.common_space ? "; --affine aligns them"
                                           : "; --npz-orientation, if the axes are others, or --affine");
}

PreparedImage prepare_moving(const Volume& moving, const Grid& fixed_packed, const Placement& placement,
                             const PreprocessOptions& options, const IntensityOptions& intensity, int threads) {
  if (placement.rule == "centre") {
    return prepare_image(moving, map_to_packed_grid(moving, options), options, intensity, threads);
  }
  const Grid packed = {fixed_packed.shape, multiply(placement.fixed_to_moving, fixed_packed.affine)};
  if (const auto map = map_along_axes(moving.grid, packed); map && placement.rule != "affine") {
    return prepare_image(moving, *map, options, intensity, threads);
  }
  return prepare_image_on(packed, moving, options, intensity, threads);
}

float background_of(const Volume& volume) {
  const float threshold = otsu_threshold(volume.voxels);
  std::vector<float> background;
  std::copy_if(volume.voxels.begin(), volume.voxels.end(), std::back_inserter(background),
               [threshold](float value) { return value <= threshold; });
  const auto middle = background.begin() + static_cast<std::ptrdiff_t>(background.size() / 2);
  std::nth_element(background.begin(), middle, background.end());
  return background.empty() ? 0.0F : *middle;
}

}  // namespace regatta
