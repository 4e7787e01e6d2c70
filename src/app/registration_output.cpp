#include "app/registration_output.hpp"

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <nlohmann/json.hpp>

#include "app/registration_inverse.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/version.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/jacobian.hpp"
#include "regatta/train/case_evaluation.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/qc.hpp"
#include "regatta/volume/resample.hpp"
#include "regatta/volume/transform.hpp"
#include "regatta/volume/transform_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPlaced = "moving_placed.nii.gz";
constexpr const char* kPlacedLabels = "moving_labels_placed.nii.gz";
constexpr const char* kWarpedLabels = "warped_labels.nii.gz";
constexpr const char* kFixedPoints = "fixed_points_in_moving.csv";
constexpr const char* kMovingPoints = "moving_points_in_fixed.csv";

double distance(const Point3& a, const Point3& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/// The files of one pair and what the record says of them.
class PairWriter {
 public:
  PairWriter(const TrainedModel& trained, const PairFiles& files, const LoadedPair& loaded,
             const RegisterSettings& settings, const Registration& found)
      : trained_(trained),
        files_(files),
        loaded_(loaded),
        fixed_(loaded.fixed),
        moving_(loaded.moving),
        settings_(settings),
        found_(found) {}

  Json write() {
    std::error_code error;
    make_directories(files_.output);
    fs::remove(files_.output / kRegistrationRecord, error);  // it comes last, and says that all is there
    begin_record();
    write_warped();
    write_field();
    if (was_given_space(found_, moving_)) {
      write_nifti(files_.output / kPlaced, std::span<const float>(moving_.voxels), found_.moving_grid);
      record_["outputs"]["moving_placed"] = kPlaced;
    }
    if (loaded_.moving_labels) {
      write_labels(*loaded_.moving_labels);
    }
    write_points();
    if (settings_.inverse) {
      write_inverse();
    }
    if (settings_.jacobian) {
      write_jacobian();
    }
    if (settings_.save_affine && (found_.affine || found_.placement.rule == "file")) {
      write_itk_affine(files_.output / "affine.mat", found_.placement.fixed_to_moving);
      record_["outputs"]["affine"] = "affine.mat";
    }
    const Grid& packed = found_.fixed.packed;
    registration_qc(files_.output / "registration.png", found_.fixed.voxels, found_.moving.voxels, found_.packed_warped,
                    found_.packed_field, packed.shape, spacing_of(packed.affine), trained_.preprocess.orientation);
    record_["outputs"]["picture"] = "registration.png";
    write_file_atomically(files_.output / kRegistrationRecord, dump_pretty(record_));
    return record_;
  }

 private:
  void begin_record() {
    record_["schema"] = 1;
    record_["model"] = fs::absolute(settings_.models.front()).string();
    for (std::size_t i = 1; i < settings_.models.size(); ++i) {
      record_["ensemble_with"].push_back(fs::absolute(settings_.models[i]).string());
    }
    record_["model_xxh3"] = trained_.weights_xxh3;
    if (!trained_.converted.empty()) {
      record_["model_converted"] = trained_.converted;
    }
    record_["fixed"] = fs::absolute(files_.fixed).string();
    record_["moving"] = fs::absolute(files_.moving).string();
    record_["inputs"] = identity_of_inputs(files_);
    record_["settings"] = identity_of_settings(settings_);
    record_["build"] = build_id();
    record_["torch"] = torch_version_text();
    record_["device"] = device_name(choose_device(settings_.device));
    record_["when"] = system_clock().utc_text();
    record_["network_s"] = found_.network_s;
    for (const auto& [name, value] : found_.after) {
      record_["metrics"][name] = {{"before", number_to_json(found_.before.at(name))}, {"after", number_to_json(value)}};
    }
    if (found_.refinement) {
      write_refinement(*found_.refinement);
    }
    if (found_.affine) {
      record_["affine"] = {{"fixed_to_moving", found_.affine->fixed_to_moving},
                           {"ncc_before", found_.affine->ncc_before},
                           {"ncc_after", found_.affine->ncc_after},
                           {"overlap", found_.affine->overlap}};
      if (const std::string doubt = alignment_doubt(found_.affine->ncc_after, found_.affine->fixed_to_moving);
          !doubt.empty()) {
        record_["affine"]["doubt"] = doubt;
        log_warning(files_.fixed, " and ", files_.moving, ": the affine alignment is doubtful: ", doubt);
      }
    }
    if (!found_.doubts.empty()) {
      record_["doubts"] = found_.doubts;
    }
    record_["place"] = place_json();
    record_["preprocessing"] = write_options(trained_.preprocess);
  }

  void write_refinement(const Refinement& done) {
    record_["refinement"] = {{"of", done.of},
                             {"iterations", done.iterations},
                             {"converged", done.converged},
                             {"loss_before", done.loss_before},
                             {"loss_after", done.loss_after},
                             {"losses", done.losses},
                             {"left_out", done.left_out},
                             {"seconds", found_.refinement_s}};
    for (const auto& [name, value] : found_.unrefined) {
      record_["metrics"][name]["network"] = number_to_json(value);
    }
  }

  Json place_json() const {
    const Placement& place = found_.placement;
    Json out = {{"rule", place.rule},
                {"common_space", place.common_space},
                {"fixed_to_moving", place.fixed_to_moving},
                {"overlap", number_to_json(place.overlap)}};
    for (const auto& [rule, overlap] : place.overlaps) {
      out["overlaps"][rule] = number_to_json(overlap);
    }
    if (was_given_space(found_, moving_)) {
      out["moving_affine"] = found_.moving_grid.affine;
    }
    return out;
  }

  /// What an image shows beyond a scan, and by which rule.
  std::pair<float, const char*> outside_of(const Volume& scan, const std::string& modality) const {
    if (!std::isnan(settings_.outside)) {
      return {static_cast<float>(settings_.outside), "option"};
    }
    if (files_.archived) {
      return {0.0F, "archive"};
    }
    const IntensityOptions intensity = intensity_of(trained_.preprocess, modality);
    return intensity.kind == "window" ? std::pair(static_cast<float>(intensity.low), "window")
                                      : std::pair(background_of(scan), "background");
  }

  void write_warped() {
    const auto [value, from] = outside_of(moving_, trained_.recipe.data.moving_modality);
    std::vector<float> warped = warp_with_field(moving_.voxels, found_.moving_grid, found_.field, fixed_.grid,
                                                Interpolation::kLinear, std::numeric_limits<float>::quiet_NaN());
    std::int64_t beyond = 0;
    for (float& voxel : warped) {
      if (std::isnan(voxel)) {  // files with such voxels are not read
        voxel = value;
        ++beyond;
      }
    }
    write_nifti(files_.output / "warped.nii.gz", std::span<const float>(warped), fixed_.grid, fixed_.space);
    record_["outputs"]["warped"] = "warped.nii.gz";
    record_["outside"] = {
        {"value", value}, {"from", from}, {"share", static_cast<double>(beyond) / static_cast<double>(warped.size())}};
  }

  void write_field() {
    const bool learn2reg = settings_.field_format == "learn2reg";
    const std::string given = learn2reg ? learn2reg_name(files_.fixed, files_.moving) : "";
    const std::string name = given.empty() ? "displacement.nii.gz" : given;
    if (learn2reg) {
      const std::vector<float> between = displacement_between(found_.field, fixed_.grid, found_.moving_grid);
      write_learn2reg_displacement(files_.output / name, between, fixed_.grid, fixed_.space);
    } else {
      write_displacement(files_.output / name, found_.field, fixed_.grid, fixed_.space);
    }
    record_["field"] = {{"file", name}, {"format", settings_.field_format}};
    record_["outputs"]["field"] = name;
  }

  void write_labels(const LabelVolume& labels) {
    const auto warped = warp_labels_with_field(labels.labels, found_.moving_grid, found_.field, fixed_.grid);
    write_nifti(files_.output / kWarpedLabels, std::span<const std::int32_t>(warped), fixed_.grid, fixed_.space);
    record_["outputs"]["warped_labels"] = kWarpedLabels;
    if (was_given_space(found_, moving_)) {
      write_nifti(files_.output / kPlacedLabels, std::span<const std::int32_t>(labels.labels), found_.moving_grid);
      record_["outputs"]["moving_labels_placed"] = kPlacedLabels;
    }
    if (!files_.fixed_labels.empty()) {
      measure_labels();
    }
  }

  /// As `regatta evaluate` measures the files that were written.
  void measure_labels() {
    CaseList list;
    list.metrics = {"dice"};
    list.npz_orientation = settings_.npz_orientation;
    CaseFiles files;
    files.name = files_.name.empty() ? "the pair" : files_.name;
    const auto output = [&](const char* key) {
      return fs::absolute(files_.output / record_.at("outputs").at(key).get<std::string>()).string();
    };
    const bool placed = was_given_space(found_, moving_);
    files.field = output("field");
    files.fixed = fs::absolute(files_.fixed).string();
    files.moving = placed ? output("moving_placed") : fs::absolute(files_.moving).string();
    files.fixed_labels = fs::absolute(files_.fixed_labels).string();
    files.moving_labels = placed ? output("moving_labels_placed") : fs::absolute(files_.moving_labels).string();
    files.fixed_frame = files_.fixed_frame;
    files.moving_frame = placed ? -1 : files_.moving_frame;
    const CaseMeasures measured = measure_case(list, files, "cpu");
    record_["metrics"]["dice"] = {{"before", number_to_json(measured.initial.at("dice"))},
                                  {"after", number_to_json(measured.values.at("dice"))}};
  }

  /// Points of the fixed scan go the field's way, points of the moving one the inverse's.
  void write_points() {
    if (!loaded_.fixed_points && !loaded_.moving_points) {
      return;
    }
    const Transform forward = Transform::of_field(fixed_.grid, found_.field);
    record_["points"]["unit"] = settings_.points_unit.empty() ? "voxel" : settings_.points_unit;
    record_["points"]["without_inverse"] = 0;
    if (loaded_.fixed_points) {
      map_points(forward, *loaded_.fixed_points, fixed_.grid, found_.moving_grid, kFixedPoints, "fixed_points");
    }
    if (loaded_.moving_points) {
      map_points(forward.inverse(), *loaded_.moving_points, found_.moving_grid, fixed_.grid, kMovingPoints,
                 "moving_points");
    }
    if (loaded_.fixed_points && loaded_.moving_points) {
      measure_points(forward);
    }
  }

  void map_points(const Transform& map, const PointFile& table, const Grid& from, const Grid& to, const char* name,
                  const char* key) {
    std::vector<Point3> mapped;
    std::int64_t missing = 0;
    for (const Point3& point : table.points) {
      const MappedPoint one = map.map(to_space(point, loaded_.unit, from));
      missing += one.found ? 0 : 1;
      mapped.push_back(from_space(one.point, loaded_.unit, to));
    }
    if (missing > 0) {
      record_["points"]["without_inverse"] = missing;
      log_warning(files_.moving, ": ", missing, " of ", mapped.size(),
                  " points lie where the field takes nothing to: the closest places are written");
    }
    write_point_file(files_.output / name, table, mapped);
    record_["outputs"][key] = name;
  }

  /// Mean distance of corresponding points in the moving scan's space, millimetres.
  void measure_points(const Transform& forward) {
    const std::vector<Point3>& fixed = loaded_.fixed_points->points;
    const std::vector<Point3>& moving = loaded_.moving_points->points;
    if (fixed.size() != moving.size()) {
      log_warning(files_.fixed_points, " has ", fixed.size(), " points, ", files_.moving_points, " ", moving.size(),
                  ": no distances are measured");
      return;
    }
    const Affine placed = multiply(found_.moving.packed.affine, invert(found_.fixed.packed.affine));
    double before = 0.0;
    double after = 0.0;
    for (std::size_t i = 0; i < fixed.size(); ++i) {
      const Point3 from = to_space(fixed[i], loaded_.unit, fixed_.grid);
      const Point3 to = to_space(moving[i], loaded_.unit, found_.moving_grid);
      before += distance(map_point(placed, from), to);
      after += distance(forward.map(from).point, to);
    }
    const auto count = static_cast<double>(fixed.size());
    record_["metrics"]["tre"] = {{"before", number_to_json(before / count)}, {"after", number_to_json(after / count)}};
  }

  /// The way back, on the moving scan's grid, and the fixed scan seen from there.
  void write_inverse() {
    const InverseField inverse = inverse_of(found_, fixed_.grid);
    const FileSpace space = was_given_space(found_, moving_) ? FileSpace{} : moving_.space;
    write_displacement(files_.output / "inverse_displacement.nii.gz", inverse.field, found_.moving_grid, space);
    const auto [value, from] = outside_of(fixed_, trained_.recipe.data.fixed_modality);
    const std::vector<float> warped =
        warp_with_field(fixed_.voxels, fixed_.grid, inverse.field, found_.moving_grid, Interpolation::kLinear, value);
    write_nifti(files_.output / "inverse_warped.nii.gz", std::span<const float>(warped), found_.moving_grid, space);
    record_["outputs"]["inverse_field"] = "inverse_displacement.nii.gz";
    record_["outputs"]["inverse_warped"] = "inverse_warped.nii.gz";
    record_["inverse"] = {{"by", inverse.by},
                          {"mean_residual_mm", inverse.mean_residual_mm},
                          {"largest_residual_mm", inverse.largest_residual_mm},
                          {"voxels_without", inverse.missing},
                          {"voxels", voxel_count(found_.moving_grid.shape)}};
  }

  void write_jacobian() {
    const auto [d, h, w] = fixed_.grid.shape;
    std::vector<float> field = found_.field;  // LibTorch takes no constant memory
    const at::Tensor determinant =
        jacobian_determinant(at::from_blob(field.data(), {1, 3, d, h, w}, at::kFloat)).contiguous();
    const std::span<const float> voxels(determinant.const_data_ptr<float>(), field.size() / 3);
    write_nifti(files_.output / "jacobian.nii.gz", voxels, fixed_.grid, fixed_.space);
    record_["outputs"]["jacobian"] = "jacobian.nii.gz";
    const auto folds = std::count_if(voxels.begin(), voxels.end(), [](float value) { return !(value > 0.0F); });
    record_["jacobian"] = {{"folds", folds}, {"voxels", voxels.size()}};
  }

  const TrainedModel& trained_;
  const PairFiles& files_;
  const LoadedPair& loaded_;
  const Volume& fixed_;
  const Volume& moving_;
  const RegisterSettings& settings_;
  const Registration& found_;
  Json record_;
};

}  // namespace

Json identity_of_inputs(const PairFiles& files) {
  Json out = Json::object();
  const auto add = [&](const char* name, const std::string& file) {
    if (!file.empty()) {
      out[name] = fs::absolute(file).string();
    }
  };
  add("fixed", files.fixed);
  add("moving", files.moving);
  add("fixed_labels", files.fixed_labels);
  add("moving_labels", files.moving_labels);
  add("fixed_points", files.fixed_points);
  add("moving_points", files.moving_points);
  if (files.fixed_frame >= 0) {
    out["fixed_frame"] = files.fixed_frame;
  }
  if (files.moving_frame >= 0) {
    out["moving_frame"] = files.moving_frame;
  }
  return out;
}

Json write_pair(const TrainedModel& trained, const PairFiles& files, const LoadedPair& loaded,
                const RegisterSettings& settings, const Registration& found) {
  return PairWriter(trained, files, loaded, settings, found).write();
}

}  // namespace regatta::app
