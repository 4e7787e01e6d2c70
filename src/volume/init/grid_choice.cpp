#include "volume/init/grid_choice.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr double kSameSpacing = 1e-3;
constexpr double kAnisotropic = 3.0;
constexpr double kMostPackedVoxels = 256.0 * 256.0 * 256.0;
constexpr double kWorthCropping = 0.75;
constexpr double kEmptyBackground = 0.2;
constexpr double kMargin = 1.05;  ///< foreground of scans that were not sampled may be larger
constexpr double kWindowLow = -1000.0;
constexpr double kWindowHigh = 500.0;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

/// Four significant digits: headers hold 0.7999999523.
double rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return std::strtod(text, nullptr);
}

/// A scan's spacing and size in mm along the packed axes.
struct Oriented {
  Spacing3 spacing{};
  Spacing3 size_mm{};
};

Oriented oriented(const Grid& grid, const std::string& orientation) {
  const AxisMap axes = axes_to(grid.affine, orientation);
  const Spacing3 spacing = spacing_of(grid.affine);
  Oriented out;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto source = static_cast<std::size_t>(axes.source[axis]);
    out.spacing[axis] = spacing[source];
    out.size_mm[axis] = spacing[source] * static_cast<double>(grid.shape[source]);
  }
  return out;
}

class Chooser {
 public:
  Chooser(FoundSet& found, const Survey& survey, const PlaceChoice& place)
      : found_(found), survey_(survey), place_(place) {}

  GridChoice choose() {
    choose_intensity();
    choose_orientation();
    for (const SurveyedScan& scan : survey_.scans) {
      scans_.push_back(oriented(scan.grid, options().orientation));
    }
    options().place = place_.place;
    reason("place", place_.place, place_.reason);
    choose_spacing();
    choose_shape();
    return std::move(choice_);
  }

 private:
  PreprocessOptions& options() { return choice_.preprocess; }

  void reason(const std::string& what, const std::string& value, const std::string& why) {
    choice_.reasons.push_back(str(what, std::string(13 - what.size(), ' '), value, why.empty() ? "" : ": ", why));
  }

  /// @param modality  "" where the set names none
  IntensityOptions intensity_for(const std::string& modality, std::string& why) const {
    std::vector<const SampledImage*> images;
    for (const SampledImage& sample : survey_.samples) {
      if (sample.modality == modality) {
        images.push_back(&sample);
      }
    }
    const auto all = [&](auto&& is) { return !images.empty() && std::all_of(images.begin(), images.end(), is); };
    const auto ct = std::count_if(images.begin(), images.end(), [](const SampledImage* image) { return image->is_ct; });
    IntensityOptions intensity;
    if (all([](const SampledImage* image) { return image->least >= 0.0 && image->most <= 1.0; })) {
      intensity.kind = "none";
      why = "values are in 0..1 already";
    } else if ((images.empty() && found_.is_ct) || 2 * ct > std::ssize(images)) {
      intensity = {"window", kWindowLow, kWindowHigh, "volume"};
      why = "CT";
    } else {
      why = "MRI or other values without a unit";
    }
    return intensity;
  }

  static std::string text_of(const IntensityOptions& intensity) {
    return intensity.kind == "none" ? intensity.kind : str(intensity.kind, ' ', intensity.low, "..", intensity.high);
  }

  void choose_intensity() {
    std::string why;
    const std::string first = found_.modalities.empty() ? "" : found_.modalities.front();
    options().intensity = intensity_for(first, why);
    reason("intensity", first.empty() ? text_of(options().intensity) : str(first, ' ', text_of(options().intensity)),
           why);
    for (std::size_t i = 1; i < found_.modalities.size(); ++i) {
      const IntensityOptions other = intensity_for(found_.modalities[i], why);
      reason("intensity", str(found_.modalities[i], ' ', text_of(other)), why);
      if (write_options(other) != write_options(options().intensity)) {
        options().modalities[found_.modalities[i]] = write_options(other);
      }
    }
    note_mixed();
    is_ct_ = options().intensity.kind == "window";
    options().foreground_above = is_ct_ ? kCtForeground : 0.0;
  }

  /// One intensity range for CT and another for MRI is given by modality alone.
  void note_mixed() {
    const auto is_ct = [](const SampledImage& image) { return image.is_ct; };
    const auto ct = std::count_if(survey_.samples.begin(), survey_.samples.end(), is_ct);
    if (found_.modalities.empty() && ct > 0 && ct < std::ssize(survey_.samples)) {
      found_.notes.push_back(str("CT and other scans are mixed: ", ct, " of ", survey_.samples.size(),
                                 " that were looked into have values of air, about -1000; `intensity` is the same for "
                                 "all: pack them as sets of their own, or bring them to like values first"));
    }
  }

  void choose_orientation() {
    std::map<std::string, std::vector<std::string>> by_code;
    for (const SurveyedScan& scan : survey_.scans) {
      by_code[scan.orientation].push_back(found_.subjects[scan.subject].id);
    }
    if (by_code.size() == 1) {
      options().orientation = by_code.begin()->first;
      reason("orientation", options().orientation, "of all scans");
      return;
    }
    options().orientation = "RAS";
    std::vector<std::string> parts;
    for (const auto& [code, ids] : by_code) {
      parts.push_back(str(code, ' ', ids.size(), " (", ids.front(), ids.size() > 1 ? ", ..." : "", ")"));
    }
    reason("orientation", "RAS", "scans differ and are turned");
    found_.notes.push_back(str("orientations differ: ", join(parts, ", "), ": look at the picture sheet of `pack`"));
  }

  void choose_spacing() {
    std::array<std::vector<double>, 3> values;
    for (const Oriented& scan : scans_) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        values[axis].push_back(scan.spacing[axis]);
      }
    }
    same_spacing_ = true;
    std::vector<std::string> ranges;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto [least, most] = std::minmax_element(values[axis].begin(), values[axis].end());
      same_spacing_ = same_spacing_ && *most <= *least * (1.0 + kSameSpacing);
      ranges.push_back(rounded(*least) == rounded(*most) ? str(rounded(*least))
                                                         : str(rounded(*least), "..", rounded(*most)));
      spacing_[axis] = rounded(median(values[axis]));
    }
    std::string why = "of all scans";
    if (!same_spacing_) {
      const auto [least, most] = std::minmax_element(spacing_.begin(), spacing_.end());
      const bool anisotropic = *most > kAnisotropic * *least;
      if (!anisotropic) {
        spacing_.fill(median({spacing_.begin(), spacing_.end()}));
      }
      why = str("scans have ", join(ranges, " x "),
                anisotropic ? ": the median of each axis" : ": the median, isotropic");
      found_.notes.push_back(
          str("spacings differ: ", join(ranges, " x "), " mm; all are resampled to ", spacing_text(spacing_)));
    }
    spacing_why_ = why;
  }

  /// The box around a scan's foreground, in voxels of a grid that may be another one's.
  std::array<Point3, 2> foreground_on(const Grid& grid, const SampledImage& sample) const {
    const Affine across = multiply(invert(grid.affine), survey_.scans[sample.subject].grid.affine);
    std::array<Point3, 2> box{};
    for (int corner = 0; corner < 8; ++corner) {
      Point3 p{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        p[axis] = ((corner >> axis) & 1) != 0 ? sample.foreground[1][axis] + 0.5 : sample.foreground[0][axis] - 0.5;
      }
      p = map_point(across, p);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        box[0][axis] = corner == 0 ? p[axis] : std::min(box[0][axis], p[axis]);
        box[1][axis] = corner == 0 ? p[axis] : std::max(box[1][axis], p[axis]);
      }
    }
    return box;
  }

  /// Smallest sizes in mm around which no sampled foreground is cut, with the middle that `center` names.
  Spacing3 foreground_mm(bool around_foreground) const {
    Spacing3 need{};
    for (const SampledImage& sample : survey_.samples) {
      const Grid& grid = survey_.scans[place_.references[sample.subject]].grid;
      const std::array<Point3, 2> box = foreground_on(grid, sample);
      const AxisMap axes = axes_to(grid.affine, choice_.preprocess.orientation);
      const Spacing3 spacing = spacing_of(grid.affine);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const auto source = static_cast<std::size_t>(axes.source[axis]);
        const double low = box[0][source];
        const double high = box[1][source];
        const double middle = static_cast<double>(grid.shape[source] - 1) / 2.0;
        const double voxels = around_foreground ? high - low : 2.0 * std::max(high - middle, middle - low);
        need[axis] = std::max(need[axis], voxels * spacing[source]);
      }
    }
    return need;
  }

  Shape3 shape_for(const Spacing3& mm) const {
    Shape3 shape{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      shape[axis] = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(mm[axis] / spacing_[axis] - 0.01)));
    }
    return network_shape(shape);
  }

  void choose_shape() {
    Spacing3 whole{};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      std::vector<double> sizes;
      for (std::size_t i = 0; i < scans_.size(); ++i) {
        sizes.push_back(scans_[place_.references[i]].size_mm[axis]);
      }
      whole[axis] = quantile(sizes, 0.95);
    }
    // Scans that lie in one space must not be shifted by each one's own foreground.
    const bool around_foreground = place_.place != "physical" && !scans_share_a_space();
    const bool has_background =
        !survey_.samples.empty() &&
        std::all_of(survey_.samples.begin(), survey_.samples.end(), [this](const SampledImage& sample) {
          return is_ct_ || (sample.least >= 0.0 && sample.zeros >= kEmptyBackground);
        });
    Spacing3 cropped = whole;
    if (has_background) {
      const Spacing3 need = foreground_mm(around_foreground);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        cropped[axis] = std::min(whole[axis], need[axis] * (scans_.size() > survey_.samples.size() ? kMargin : 1.0));
      }
    }
    const auto count = [](const Shape3& shape) { return static_cast<double>(voxel_count(shape)); };
    const bool crops = count(shape_for(cropped)) <= kWorthCropping * count(shape_for(whole));
    const Spacing3& extent = crops ? cropped : whole;
    widen_spacing(extent);
    const Shape3 shape = shape_for(extent);
    options().center = crops && around_foreground ? "foreground" : "volume";
    options().spacing_mm = {spacing_.begin(), spacing_.end()};
    options().shape = {static_cast<int>(shape[0]), static_cast<int>(shape[1]), static_cast<int>(shape[2])};
    reason("spacing", str(spacing_text(spacing_), " mm"), spacing_why_);
    reason("shape", shape_text(shape),
           crops ? str("holds the foreground of ", survey_.samples.size(),
                       " scans that were looked into, around the middle of the ", options().center)
                 : str("holds whole scans"));
    note_cut(shape, crops);
  }

  bool scans_share_a_space() const {
    std::map<std::string, int> groups;
    return std::any_of(found_.subjects.begin(), found_.subjects.end(),
                       [&](const SubjectEntry& subject) { return ++groups[subject.group] > 1; }) &&
           !found_.pairs.empty();
  }

  /// Coarser voxels where the volume would have more than 256^3.
  void widen_spacing(const Spacing3& extent) {
    const Spacing3 before = spacing_;
    double factor = 1.0;
    while (static_cast<double>(voxel_count(shape_for(extent))) > kMostPackedVoxels) {
      factor += 0.05;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        spacing_[axis] = rounded(before[axis] * factor);
      }
    }
    if (factor > 1.0) {
      spacing_why_ = str(spacing_why_, ", ", spacing_text(before), " mm, made coarser: at most 256^3 voxels");
      found_.notes.push_back(str("at ", spacing_text(before), " mm the volumes would have more than 256^3 voxels: ",
                                 spacing_text(spacing_), " mm instead"));
    }
  }

  void note_cut(const Shape3& shape, bool crops) {
    std::vector<std::string> cut;
    for (std::size_t i = 0; i < scans_.size() && !crops; ++i) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        if (scans_[i].size_mm[axis] > spacing_[axis] * (static_cast<double>(shape[axis]) + 0.5)) {
          cut.push_back(found_.subjects[survey_.scans[i].subject].id);
          break;
        }
      }
    }
    note_names(found_, cut, "scans larger than the shape, cut at their edges");
  }

  FoundSet& found_;
  const Survey& survey_;
  const PlaceChoice& place_;
  GridChoice choice_;
  std::vector<Oriented> scans_;
  Spacing3 spacing_{};
  std::string spacing_why_;
  bool same_spacing_ = false;
  bool is_ct_ = false;
};

}  // namespace

Shape3 network_shape(const Shape3& least) {
  constexpr double kCost = 1.15;
  Shape3 by16{};
  Shape3 by32{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    by16[axis] = (least[axis] + 15) / 16 * 16;
    by32[axis] = (least[axis] + 31) / 32 * 32;
  }
  return static_cast<double>(voxel_count(by32)) < kCost * static_cast<double>(voxel_count(by16)) ? by32 : by16;
}

GridChoice choose_grid(FoundSet& found, const Survey& survey, const PlaceChoice& place) {
  return Chooser(found, survey, place).choose();
}

}  // namespace regatta
