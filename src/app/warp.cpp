// `regatta warp`: images, label maps and points through transforms that we, ANTs, ITK, greedy or FSL wrote, and chains
// of transforms into one field.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "app/command.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/point_file.hpp"
#include "regatta/volume/transform.hpp"
#include "regatta/volume/transform_file.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

/// Where results lie, and in which of its forms the file says so.
struct Target {
  Grid grid;
  FileSpace space;
};

bool is_scan_output(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".nii") || name.ends_with(".nii.gz");
}

std::string share_text(std::int64_t part, std::int64_t all) {
  return str(fixed_text(100.0 * static_cast<double>(part) / static_cast<double>(all), 2), " %");
}

class Warp final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("image", image_,
                   str("scan or label map of the moving side, 3-D or 4-D (", volume_endings(), "); none: --points or ",
                       "--compose alone"));
    app.add_option("-t,--transform", transforms_,
                   "from fixed to moving, several in ANTs' order (the last is applied to the image first): a field "
                   "(NIfTI, npz), an ITK or ANTs affine or composite (.mat, .txt, .tfm, .h5), 4 x 4 numbers in RAS "
                   "(greedy), fsl:FILE of FLIRT; [FILE,1] or FILE,-1: its inverse")
        ->required()
        ->allow_extra_args(false);
    app.add_option("-r,--reference", reference_,
                   "scan whose grid the results have; default: the grid of the first field");
    app.add_option("-o,--output", output_, "the warped image (.nii.gz or .nii), or with --points the mapped points");
    app.add_option("-n,--interpolation", interpolation_,
                   "linear; cubic: spline of order 3; nearest; vote: of label maps, the label with the largest linear "
                   "weight. vote and nearest of integers write int32, the others float32")
        ->one_of({"linear", "cubic", "nearest", "vote"})
        ->capture_default_str();
    app.add_option("--outside", outside_, "value where the moving scan has no voxels")->capture_default_str();
    app.add_option("--compose", compose_, "write the whole chain as one field on the reference's grid (.nii.gz, .nii)");
    app.add_option("--points", points_, "CSV of points, one a line, other columns kept; needs --points-of and -unit");
    app.add_option("--points-of", points_of_,
                   "fixed: points of the fixed scan, taken to the moving one, as the transform does; moving: points "
                   "of the moving scan, taken to the fixed one along with its image")
        ->one_of({"fixed", "moving"});
    app.add_option("--points-unit", points_unit_,
                   "of the points, in and out: voxel (of the scan they lie in), ras or lps (millimetres)")
        ->one_of({"voxel", "ras", "lps"});
    app.add_option("--moving", moving_,
                   "the moving scan, where a transform or points in voxels need its grid and no image is given");
    app.add_option("--threads", threads_, "0: one per core")->range(0, 1024)->capture_default_str();
    app.add_option("--npz-orientation", npz_orientation_, "axes of .npz files, which carry no affine")
        ->capture_default_str();
  }

  ExitCode run() override {
    require_arguments();
    const double start = system_clock().monotonic_s();
    read_grids();
    read_transforms();
    if (!points_.empty()) {
      warp_points();
    } else if (!image_.empty()) {
      warp_scan();
    }
    if (!compose_.empty()) {
      compose();
    }
    std::cout << "in " << duration_text(system_clock().monotonic_s() - start) << '\n';
    return ExitCode::kOk;
  }

 private:
  void require_arguments() const {
    const bool points = !points_.empty();
    REGATTA_REQUIRE(!image_.empty() || points || !compose_.empty(), ConfigError,
                    "regatta warp: nothing to do: add an image, --points or --compose");
    REGATTA_REQUIRE(image_.empty() || !points, ConfigError,
                    "regatta warp: an image and --points: one of them per call (--moving names the moving scan)");
    REGATTA_REQUIRE(output_.empty() != (points || !image_.empty()), ConfigError, "regatta warp: ",
                    output_.empty() ? "no output file: add -o OUT" : "-o without an image or --points");
    REGATTA_REQUIRE(!points || (!points_of_.empty() && !points_unit_.empty()), ConfigError,
                    "regatta warp: --points needs --points-of fixed|moving and --points-unit voxel|ras|lps");
    REGATTA_REQUIRE(image_.empty() || is_scan_output(output_), ConfigError, output_.string(),
                    ": .nii.gz or .nii expected");
    REGATTA_REQUIRE(compose_.empty() || is_scan_output(compose_), ConfigError, compose_.string(),
                    ": .nii.gz or .nii expected");
  }

  VolumeHeader header_of(const std::string& path) const {
    VolumeHeader header = read_volume_header(path, VolumePart::kImage, npz_orientation_, 0);
    if (!has_space(header.affine_source)) {
      log_warning(path, ": does not say where it lies (affine from ", header.affine_source, ")");
    } else if (const std::string doubt = space_doubt(header.grid, header.space); header.space.qform && !doubt.empty()) {
      log_warning(path, ": ", doubt);
    }
    return header;
  }

  void read_grids() {
    if (!reference_.empty()) {
      const VolumeHeader header = header_of(reference_);
      target_ = Target{header.grid, header.space};
      grids_.fixed = header.grid;
    }
    const std::string moving = image_.empty() ? moving_ : image_;
    if (!moving.empty()) {
      grids_.moving = header_of(moving).grid;
    }
  }

  void read_transforms() {
    std::vector<TransformFile> files;
    for (const std::string& text : transforms_) {
      files.push_back(read_transform(text, grids_));
      std::cout << "transform  " << text << ": " << files.back().kind << '\n';
    }
    transform_ = chain_of(files);
    if (!target_ && transform_.first_grid() != nullptr) {
      target_ = Target{*transform_.first_grid(), {}};
    }
  }

  const Target& require_target() const {
    REGATTA_REQUIRE(target_.has_value(), ConfigError,
                    "regatta warp: no grid for the results: add --reference SCAN (a chain of affines has none)");
    return *target_;
  }

  void warp_scan() {
    const Target& target = require_target();
    const std::int64_t voxels = voxel_count(target.grid.shape);
    VolumeSeries series(image_, npz_orientation_);
    const std::int64_t frames = series.header().frames;
    std::int64_t outside = 0;
    std::optional<NiftiSeriesWriter> writer;
    const auto begin = [&](NiftiSeriesWriter::Type type) {
      if (!writer) {
        writer.emplace(output_, target.grid, type, frames, series.header().frame_step, target.space);
      }
    };
    for (std::int64_t frame = 0; frame < frames; ++frame) {
      if (takes_labels(series.header())) {
        const LabelSampling rule = interpolation_ == "vote" ? LabelSampling::kVote : LabelSampling::kNearest;
        const WarpedLabels warped =
            warp_labels(transform_, series.next_labels(), series.header().grid, target.grid, rule, threads_);
        begin(NiftiSeriesWriter::Type::kInt32);
        writer->add(std::span<const std::int32_t>(warped.labels));
        outside = warped.outside;
      } else {
        const WarpedVolume warped = warp_image(transform_, series.next_image(), series.header().grid, target.grid,
                                               rule_of_images(), static_cast<float>(outside_), threads_);
        begin(NiftiSeriesWriter::Type::kFloat32);
        writer->add(std::span<const float>(warped.voxels));
        outside = warped.outside;
      }
    }
    writer->commit();
    std::cout << "warped     " << output_.string() << ": " << shape_text(target.grid.shape)
              << (frames > 1 ? str(", ", frames, " volumes") : "") << ", " << interpolation_ << ", "
              << share_text(outside, voxels) << " outside the moving scan\n";
  }

  Interpolation rule_of_images() const {
    return interpolation_ == "linear"  ? Interpolation::kLinear
           : interpolation_ == "cubic" ? Interpolation::kCubic
                                       : Interpolation::kNearest;
  }

  /// Whole numbers stay whole: `vote` is of labels alone, `nearest` takes files of integers as labels.
  bool takes_labels(const VolumeHeader& header) const {
    return interpolation_ == "vote" || (interpolation_ == "nearest" && header.whole);
  }

  void compose() {
    const Target& target = require_target();
    const ComposedField composed = compose_field(transform_, target.grid, threads_);
    write_displacement(compose_, composed.field, target.grid, target.space);
    std::cout << "field      " << compose_.string() << ": " << shape_text(target.grid.shape)
              << ", LPS millimetres, ITK and ANTs read it\n";
    if (transform_.has_inverted_field()) {
      std::cout << "inverse    residual " << to_text(composed.mean_residual_mm) << " mm on average, at most "
                << to_text(composed.largest_residual_mm) << " mm; no inverse in " << composed.missing << " voxels ("
                << share_text(composed.missing, voxel_count(target.grid.shape)) << ")\n";
    }
  }

  const Grid& grid_of_points(bool fixed) const {
    static const Grid kNone;
    if (point_unit(points_unit_) != PointUnit::kVoxel) {
      return kNone;
    }
    if (fixed) {
      return require_target().grid;
    }
    REGATTA_REQUIRE(grids_.moving.has_value(), ConfigError,
                    "regatta warp: points in voxels need the moving scan's grid: add --moving SCAN");
    return *grids_.moving;
  }

  void warp_points() {
    const bool from_fixed = points_of_ == "fixed";
    const PointUnit unit = point_unit(points_unit_);
    const Grid& from = grid_of_points(from_fixed);
    const Grid& to = grid_of_points(!from_fixed);
    const Transform map = from_fixed ? transform_ : transform_.inverse();
    const PointFile file = read_point_file(points_);
    std::vector<Point3> out;
    std::size_t missing = 0;
    double largest = 0.0;
    for (std::size_t row = 0; row < file.points.size(); ++row) {
      const MappedPoint mapped = map.map(to_space(file.points[row], unit, from));
      out.push_back(from_space(mapped.point, unit, to));
      if (mapped.found) {
        largest = std::max(largest, mapped.residual_mm);
      } else {
        ++missing;
        log_warning(points_, ": point ", row + 1, ": the transform takes no point there; the closest is ",
                    to_text(mapped.residual_mm), " mm off");
      }
    }
    write_point_file(output_, file, out);
    std::cout << "points     " << output_.string() << ": " << out.size() << " of the " << points_of_ << " scan in the "
              << (from_fixed ? "moving" : "fixed") << " one, " << points_unit_ << '\n';
    if (map.has_inverted_field()) {
      std::cout << "inverse    residual at most " << to_text(largest) << " mm; " << missing << " points without one\n";
    }
  }

  std::string image_;
  std::vector<std::string> transforms_;
  std::string reference_;
  std::string moving_;
  fs::path output_;
  std::string interpolation_ = "linear";
  double outside_ = 0.0;
  fs::path compose_;
  std::string points_;
  std::string points_of_;
  std::string points_unit_;
  int threads_ = 0;
  std::string npz_orientation_ = "RAS";

  TransformGrids grids_;
  std::optional<Target> target_;
  Transform transform_;
};

}  // namespace

std::unique_ptr<Command> make_warp() {
  return std::make_unique<Warp>();
}

}  // namespace regatta::app
