// From a file's volume to the packed grid: orientation, spacing, crop or pad, intensity. Each step is an axis-aligned
// map of voxel indices, composed into one, so that voxels are interpolated at most once and the way back is exact.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "regatta/base/large_vector.hpp"
#include "regatta/config/options.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {

struct IntensityOptions {
  std::string kind = "percentile";
  double low = 0.0;
  double high = 99.9;
  std::string within = "volume";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("kind", s.kind,
      "percentile: `low` and `high` percent of the file's voxels become 0 and 1; minmax: its extremes do; window: the "
      "values `low` and `high` do; zscore: the mean plus `low` and plus `high` standard deviations do; none: values "
      "are "
      "taken as they are (uint8: they must lie in 0..1)",
      one_of({"percentile", "minmax", "window", "zscore", "none"}));
    v("low", s.low, "percent, value or number of standard deviations that becomes 0");
    v("high", s.high, "percent, value or number of standard deviations that becomes 1");
    v("within", s.within,
      "voxels from which percentiles, mean and deviation are computed: all, or those above `foreground_above`",
      one_of({"volume", "foreground"}));
  }
};

struct PreprocessOptions {
  std::string orientation = "RAS";
  std::vector<double> spacing_mm;
  std::vector<int> shape;
  std::string center = "volume";
  double foreground_above = 0.0;
  IntensityOptions intensity;
  Json modalities = Json::object();
  std::string type = "uint8";
  std::string place = "centre";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("orientation", s.orientation, "directions in which the three indices grow, such as RAS or LIA");
    v("spacing_mm", s.spacing_mm, "resample to this spacing along the three axes; empty: keep the files' own");
    v("shape", s.shape, "crop or pad to this shape; empty: keep what the first subject has");
    v("center", s.center, "crop and pad around the middle of the volume or of the foreground's bounding box",
      one_of({"volume", "foreground"}));
    v("foreground_above", s.foreground_above, "voxels above this value of the file are foreground");
    v("intensity", s.intensity, "");
    v("modalities", s.modalities, "{\"ct\": {intensity options}}: modalities whose intensities are treated otherwise");
    v("type", s.type, "type of the packed voxels", one_of({"uint8", "float32"}));
    v("place", s.place,
      "how scans are placed relative to each other: centre: each about its own middle; physical: where their headers "
      "say, those that "
      "pairs and groups join on one grid; affine: aligned, where `/affine` asks for it",
      one_of({"centre", "physical", "affine"}));
  }
};

/// The intensity options of a modality: its own of `modalities`, else `intensity`. @throws ConfigError
IntensityOptions intensity_of(const PreprocessOptions& options, const std::string& modality);

/// Rules that concern several fields. @throws ConfigError
void validate(const PreprocessOptions& options);

/// Where each packed voxel comes from: source index along axis `axis[a]` = start[a] + step[a] * packed index along a.
struct GridMap {
  Grid source;
  Grid packed;
  std::array<int, 3> axis = {0, 1, 2};
  std::array<double, 3> start = {0.0, 0.0, 0.0};
  std::array<double, 3> step = {1.0, 1.0, 1.0};
};

/// The packed grid of one volume: the axes permuted and reversed to the closest canonical ones (oblique direction
/// cosines are kept), the spacing changed about the middle of the field of view, then cropped or padded.
/// A spacing within 0.1 % of the wanted one counts as equal, and voxels are then copied exactly.
/// @throws DataError if the foreground is asked for and there is none
GridMap map_to_packed_grid(const Volume& volume, const PreprocessOptions& options);

/// The same of a grid alone. @param foreground_middle  called for it where `options` centre on the foreground; in
/// voxels of the source
GridMap map_to_packed_grid(const Grid& source, const PreprocessOptions& options,
                           const std::function<Point3()>& foreground_middle);

/// The same map for a packed grid that is given: none unless its axes run along those of the source, within a hundredth
/// of a voxel over the whole grid.
std::optional<GridMap> map_along_axes(const Grid& source, const Grid& packed);

struct PreparedImage {
  Grid packed;
  std::vector<float> voxels;  ///< on `packed`, 0..1 (kind none: as in the file); uint8: multiples of 1/255
  double low = 0.0;           ///< in the file's units: what became 0
  double high = 1.0;          ///< what became 1
};

/// One modality's image through a map of its grid. Linear interpolation; where the spacing grows by more than 1.5, a
/// triangle filter of that width against aliasing. Packed voxels outside the file's field of view are 0.
/// @param threads  0: all cores that the process may use
/// @throws DataError naming the file: constant voxels, nothing between `low` and `high`, values outside 0..1
PreparedImage prepare_image(const Volume& volume, const GridMap& map, const PreprocessOptions& options,
                            const IntensityOptions& intensity, int threads = 0);

/// As `options` say, the packed grid included.
PreparedImage prepare_image(const Volume& volume, const PreprocessOptions& options, int threads = 0);

/// Onto any grid, through space: images that were aligned to an atlas, modalities on grids of their own. The same
/// filter, before the interpolation.
/// @param packed  its affine leads to the millimetres of `volume`'s affine
PreparedImage prepare_image_on(const Grid& packed, const Volume& volume, const PreprocessOptions& options,
                               const IntensityOptions& intensity, int threads = 0);

/// A modality's voxels as an archive stores them.
struct PackedVoxels {
  LargeVector<std::byte> bytes;  ///< uint8, round(255 v) of voxels in 0..1, or float32
  IntensityRange range;
};

/// What `prepare_image` gives, stored; in one pass over the voxels where axes are only turned.
PackedVoxels prepare_packed(const Volume& volume, const GridMap& map, const PreprocessOptions& options,
                            const IntensityOptions& intensity, int threads = 0);
PackedVoxels packed_voxels(const PreparedImage& image, const PreprocessOptions& options);

/// Nearest voxel; 0 outside the field of view. The label map must be on map.source.
std::vector<std::int32_t> prepare_labels(const LabelVolume& labels, const GridMap& map, int threads = 0);

/// round(255 v) of voxels in 0..1.
std::vector<std::uint8_t> to_uint8(std::span<const float> voxels);

}  // namespace regatta
