// `regatta jacobian`: the Jacobian determinant of a field or a chain of transforms, as an image and in numbers.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <nlohmann/json.hpp>

#include "app/command.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/nn/jacobian.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/transform.hpp"
#include "regatta/volume/transform_file.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr double kLeastLog = 1e-9;  ///< determinants are held between these before the logarithm, as `sdlogj` does
constexpr double kMostLog = 1e9;

/// Where the field lies, and what is said of its voxels.
struct JacobianInput {
  Grid grid;
  FileSpace space;
  std::vector<float> field;        ///< [3, D, H, W], voxels of the grid
  std::vector<std::uint8_t> mask;  ///< [D, H, W]; empty: none
  bool placed = true;              ///< the grid is known to lie where it says
};

/// Of the determinants that count.
struct Extent {
  double least = 0.0;
  double most = 0.0;
  double sum = 0.0;
  std::int64_t folds = 0;
  std::int64_t voxels = 0;

  void add(double value) {
    least = voxels == 0 ? value : std::min(least, value);
    most = voxels == 0 ? value : std::max(most, value);
    sum += value;
    folds += value > 0.0 ? 0 : 1;
    ++voxels;
  }
};

class Jacobian final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("transforms", transforms_,
                   "a field, or a chain as `regatta warp --transform` takes it, in the same order")
        ->required();
    app.add_option("-r,--reference", reference_,
                   "scan on whose grid the determinant is taken; default: the grid of the first field");
    app.add_option("--moving", moving_, "the moving scan, where a transform needs its grid");
    app.add_option("--mask", mask_, "label map on that grid: voxels of 0 do not count in the summary");
    app.add_option("-o,--output", output_, "write the determinant (.nii.gz or .nii)");
    app.add_flag("--log", log_, "write its natural logarithm, of determinants held between 1e-9 and 1e9");
    app.add_option("--json", json_, "write the summary to this file");
    app.add_option("--npz-orientation", npz_orientation_, "axes of .npz files, which carry no affine")
        ->capture_default_str();
  }

  ExitCode run() override {
    REGATTA_REQUIRE(!log_ || !output_.empty(), ConfigError, "regatta jacobian: --log without -o IMAGE");
    JacobianInput input = read_input();
    for (const std::int64_t size : input.grid.shape) {
      REGATTA_REQUIRE(size >= 2, DataError, "regatta jacobian: grid ", shape_text(input.grid.shape),
                      ": at least 2 voxels along each axis expected");
    }
    const Shape3& shape = input.grid.shape;
    PairState pair;
    pair.flow = at::from_blob(input.field.data(), {1, 3, shape[0], shape[1], shape[2]}, at::kFloat);
    if (!input.mask.empty()) {
      pair.fixed_mask = at::from_blob(input.mask.data(), {1, 1, shape[0], shape[1], shape[2]}, at::kByte);
    }
    const at::Tensor determinant = jacobian_determinant(pair.flow).contiguous();
    const Json summary = summary_of(pair, extent_of(determinant, input.mask), input);
    print(summary);
    if (!output_.empty()) {
      write_image(determinant, input);
    }
    if (!json_.empty()) {
      write_file_atomically(json_, dump_pretty(summary));
      std::cout << "written " << json_.string() << '\n';
    }
    return ExitCode::kOk;
  }

 private:
  JacobianInput read_input() const {
    JacobianInput out;
    TransformGrids grids;
    if (!reference_.empty()) {
      const VolumeHeader header = read_volume_header(reference_, VolumePart::kImage, npz_orientation_, 0);
      grids.fixed = header.grid;
      out.grid = header.grid;
      out.space = header.space;
    }
    if (!moving_.empty()) {
      grids.moving = read_volume_header(moving_, VolumePart::kImage, npz_orientation_, 0).grid;
    }
    if (transforms_.size() == 1 && reference_.empty() && is_plain_field(transforms_.front())) {
      Displacement read = read_displacement(transforms_.front());  // its own values, not resampled
      out.grid = read.grid;
      out.placed = has_space(read.affine_source);
      out.field = std::move(read.field);
    } else {
      compose(grids, out);
    }
    if (!mask_.empty()) {
      read_mask(out);
    }
    return out;
  }

  static bool is_plain_field(const std::string& text) {
    return !text.starts_with('[') && (text.ends_with(".nii") || text.ends_with(".nii.gz") || text.ends_with(".npz"));
  }

  void compose(const TransformGrids& grids, JacobianInput& out) const {
    std::vector<TransformFile> files;
    for (const std::string& text : transforms_) {
      files.push_back(read_transform(text, grids));
    }
    const Transform chain = chain_of(files);
    if (reference_.empty()) {
      REGATTA_REQUIRE(chain.first_grid() != nullptr, ConfigError,
                      "regatta jacobian: no grid: add --reference SCAN (a chain of affines has none)");
      out.grid = *chain.first_grid();
    }
    ComposedField composed = compose_field(chain, out.grid);
    REGATTA_REQUIRE(composed.missing == 0, DataError, "regatta jacobian: ", composed.missing,
                    " voxels of the grid have no inverse: the determinant is not defined there");
    out.field = std::move(composed.field);
  }

  void read_mask(JacobianInput& out) const {
    const LabelVolume mask = read_label_volume(mask_, npz_orientation_);
    REGATTA_REQUIRE(mask.grid.shape == out.grid.shape, DataError, mask_, ": mask of ", shape_text(mask.grid.shape),
                    ", the field's grid has ", shape_text(out.grid.shape));
    REGATTA_REQUIRE(
        !out.placed || !has_space(mask.affine_source) || same_grid(mask.grid.affine, out.grid.affine, mask.grid.shape),
        DataError, mask_, ": does not lie where the field's grid does");
    for (const std::int32_t label : mask.labels) {
      out.mask.push_back(label != 0 ? 1 : 0);
    }
    REGATTA_REQUIRE(std::find(out.mask.begin(), out.mask.end(), 1) != out.mask.end(), DataError, mask_,
                    ": no voxel of the mask is set");
  }

  static Extent extent_of(const at::Tensor& determinant, const std::vector<std::uint8_t>& mask) {
    Extent out;
    const float* value = determinant.const_data_ptr<float>();
    for (std::int64_t i = 0; i < determinant.numel(); ++i) {
      if (mask.empty() || mask[static_cast<std::size_t>(i)] != 0) {
        out.add(double{value[i]});
      }
    }
    return out;
  }

  Json summary_of(const PairState& pair, const Extent& extent, const JacobianInput& input) const {
    Json out;
    out["schema"] = 1;
    out["transforms"] = transforms_;
    out["shape"] = input.grid.shape;
    out["masked"] = !input.mask.empty();
    out["voxels"] = extent.voxels;
    out["determinant"] = {{"least", number_to_json(extent.least)},
                          {"mean", number_to_json(extent.sum / static_cast<double>(extent.voxels))},
                          {"most", number_to_json(extent.most)},
                          {"folds", extent.folds}};
    for (const char* name : {"folding", "sdlogj", "ndv"}) {
      for (const auto& [detail, value] : find_metric(name).make()->measure(pair)) {
        out["metrics"][detail] = number_to_json(value);
      }
    }
    return out;
  }

  static void print(const Json& summary) {
    const Json& d = summary.at("determinant");
    const auto voxels = summary.at("voxels").get<std::int64_t>();
    const auto folds = d.at("folds").get<std::int64_t>();
    std::cout << "determinant  " << d.at("least").dump() << " .. " << d.at("most").dump() << ", mean "
              << d.at("mean").dump() << (summary.at("masked").get<bool>() ? ", in the mask" : "") << '\n'
              << "folds        " << folds << " of " << voxels << " voxels ("
              << fixed_text(100.0 * static_cast<double>(folds) / static_cast<double>(voxels), 4) << " %)\n";
    for (const auto& [name, value] : summary.at("metrics").items()) {
      std::cout << name << std::string(name.size() < 20 ? 21 - name.size() : 1, ' ') << value.dump() << '\n';
    }
  }

  void write_image(const at::Tensor& determinant, const JacobianInput& input) const {
    const float* value = determinant.const_data_ptr<float>();
    std::vector<float> voxels(value, value + determinant.numel());
    if (log_) {
      for (float& voxel : voxels) {
        voxel = static_cast<float>(std::log(std::clamp(double{voxel}, kLeastLog, kMostLog)));
      }
    }
    write_nifti(output_, std::span<const float>(voxels), input.grid, input.space);
    std::cout << (log_ ? "log determinant  " : "determinant  ") << output_.string() << '\n';
  }

  std::vector<std::string> transforms_;
  std::string reference_;
  std::string moving_;
  std::string mask_;
  fs::path output_;
  bool log_ = false;
  fs::path json_;
  std::string npz_orientation_ = "RAS";
};

}  // namespace

std::unique_ptr<Command> make_jacobian() {
  return std::make_unique<Jacobian>();
}

}  // namespace regatta::app
