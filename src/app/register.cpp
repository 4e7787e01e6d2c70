// `regatta register`: one pair of scans in, warped image, displacement field, picture and a JSON record out.
#include <cmath>
#include <filesystem>
#include <iostream>
#include <limits>
#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>

#include "app/command.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/base/version.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/registration.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/qc.hpp"
#include "regatta/volume/resample.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecord = "registration.json";
constexpr const char* kPlaced = "moving_placed.nii.gz";
constexpr const char* kPlacedLabels = "moving_labels_placed.nii.gz";

class Register final : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("--model", model_, "weights of a training: best.safetensors")->required();
    app.add_option("--fixed", fixed_, str("scan to align to (", volume_endings(), ")"))->required();
    app.add_option("--moving", moving_, "scan that is warped onto the fixed one")->required();
    app.add_option("--moving-labels", labels_, "label map of the moving scan, warped along with it (nearest)");
    app.add_option("--fixed-frame", fixed_frame_, "volume of a 4-D fixed scan, counted from 0");
    app.add_option("--moving-frame", moving_frame_, "volume of a 4-D moving scan, counted from 0");
    Argument* affine = app.add_flag("--affine", affine_,
                                    "align the moving scan to the fixed one with 12 parameters first; automatic "
                                    "where the training data were aligned (affine: to_atlas) and of one modality");
    app.add_flag("--no-affine", no_affine_, "no affine alignment, even if the training data were aligned")
        ->excludes(affine);
    app.add_option("--initial", initial_,
                   "where the moving scan lies at first: physical: where the headers say; centre: about the middle of "
                   "the fixed one; foreground: by the foregrounds' centres of mass. Default: physical, unless the "
                   "foregrounds overlap clearly less there than about the middles; then foreground")
        ->one_of({"physical", "centre", "foreground"})
        ->excludes(affine);
    app.add_option("--outside", outside_,
                   "value of the warped image where the moving scan has no voxels; default: the low of the window that "
                   "the network was trained with, without one the scan's background");
    app.add_option("-o,--output", output_, "folder for the results; files of the same names are replaced")->required();
    app.add_option("--field-format", field_format_,
                   "itk: 5-D, LPS millimetres, a transform for ITK, ANTs and SimpleITK; learn2reg: 4-D, voxels of the "
                   "moving scan, named disp_FFFF_MMMM.nii.gz where the scans have Learn2Reg's names")
        ->one_of({"itk", "learn2reg"})
        ->capture_default_str();
    app.add_option("--device", device_, "auto, cpu or cuda:N")->capture_default_str();
    app.add_option("--backend", backend_, "backend of the network: auto, fast or reference")
        ->one_of({"auto", "fast", "reference"})
        ->capture_default_str();
    app.add_option("--npz-orientation", npz_orientation_, "axes of .npz files, which carry no affine")
        ->capture_default_str();
  }

  ExitCode run() override {
    const double start = system_clock().monotonic_s();
    TrainedModel trained = load_trained_model(model_, device_, backend_);
    if (!trained.converted.empty()) {
      log_info(model_, ": converted: ", trained.converted);
    }
    std::error_code error;
    REGATTA_REQUIRE(!fs::exists(output_, error) || fs::is_directory(output_, error), DataError, output_.string(),
                    ": is a file, a folder expected");
    const Volume fixed = read_volume(fixed_, npz_orientation_, fixed_frame_);
    const Volume moving = read_volume(moving_, npz_orientation_, moving_frame_);
    const std::optional<LabelVolume> labels = read_labels(moving);
    if (const std::string doubt = space_doubt(moving.grid, moving.space); moving.space.qform && !doubt.empty()) {
      log_warning(moving_, ": ", doubt);
    }
    const bool align = affine_ || aligns_of_itself(trained);
    const Registration found = register_scans(trained, fixed, moving, device_, align, initial_);
    warn_of_place(found);
    make_directories(output_);
    fs::remove(output_ / kRecord, error);  // it comes last, and says that all is there
    const Outside outside = write_images(trained, found, fixed, moving);
    if (labels) {
      write_labels(found, fixed, *labels);
    }
    const Grid& packed = found.fixed.packed;
    registration_qc(output_ / "registration.png", found.fixed.voxels, found.moving.voxels, found.packed_warped,
                    found.packed_field, packed.shape, spacing_of(packed.affine), trained.preprocess.orientation);
    write_record(trained, found, moving, outside);
    print(found, moving, outside, system_clock().monotonic_s() - start);
    return ExitCode::kOk;
  }

 private:
  /// The alignment maximises a correlation, which scans of two modalities do not have.
  bool aligns_of_itself(const TrainedModel& trained) const {
    if (!trained.data_aligned || affine_ || no_affine_ || !initial_.empty()) {
      return false;
    }
    const bool alike = trained.recipe.data.moving_modality == trained.recipe.data.fixed_modality;
    log_info("the training data were aligned", alike ? ", and so are these scans; --no-affine leaves them as they lie"
                                                     : "; scans of two modalities are taken as they lie");
    return alike;
  }

  /// What the warped image shows beyond the moving scan.
  struct Outside {
    float value = 0.0F;
    const char* from = "";  ///< option, window or background
    double share = 0.0;     ///< of the warped image's voxels
  };

  Outside outside_of(const TrainedModel& trained, const Volume& moving) const {
    const IntensityOptions intensity = intensity_of(trained.preprocess, trained.recipe.data.moving_modality);
    if (!std::isnan(outside_)) {
      return {static_cast<float>(outside_), "option"};
    }
    return intensity.kind == "window" ? Outside{static_cast<float>(intensity.low), "window"}
                                      : Outside{background_of(moving), "background"};
  }

  /// A scan that was given a space is written as well: other programs find its place in no file of the user's.
  static bool was_given_space(const Registration& found, const Volume& moving) {
    return !same_grid(moving.grid.affine, found.moving_grid.affine, moving.grid.shape);
  }

  Outside write_images(const TrainedModel& trained, const Registration& found, const Volume& fixed,
                       const Volume& moving) const {
    Outside outside = outside_of(trained, moving);
    std::vector<float> warped = warp_with_field(moving.voxels, found.moving_grid, found.field, fixed.grid,
                                                Interpolation::kLinear, std::numeric_limits<float>::quiet_NaN());
    std::int64_t beyond = 0;
    for (float& voxel : warped) {
      if (std::isnan(voxel)) {  // files with such voxels are not read
        voxel = outside.value;
        ++beyond;
      }
    }
    outside.share = static_cast<double>(beyond) / static_cast<double>(warped.size());
    write_nifti(output_ / "warped.nii.gz", std::span<const float>(warped), fixed.grid, fixed.space);
    write_field(found, fixed);
    if (was_given_space(found, moving)) {
      write_nifti(output_ / kPlaced, std::span<const float>(moving.voxels), found.moving_grid);
    }
    return outside;
  }

  void write_field(const Registration& found, const Volume& fixed) const {
    if (field_format_ == "learn2reg") {
      const std::vector<float> between = displacement_between(found.field, fixed.grid, found.moving_grid);
      write_learn2reg_displacement(field_path(), between, fixed.grid, fixed.space);
    } else {
      write_displacement(field_path(), found.field, fixed.grid, fixed.space);
    }
  }

  fs::path field_path() const {
    const std::string name = field_format_ == "learn2reg" ? learn2reg_name(fixed_, moving_) : "";
    return output_ / (name.empty() ? "displacement.nii.gz" : name);
  }

  /// Pairs that lie badly are named.
  void warn_of_place(const Registration& found) const {
    const Placement& place = found.placement;
    if (!place.common_space) {
      log_warning(fixed_, " and ", moving_,
                  " have no common space (npz, or sform and qform code 0): the moving scan is ",
                  "put about the fixed one's middle");
    } else if (place.rule == "foreground" && initial_.empty()) {
      log_warning(fixed_, " and ", moving_,
                  ": where their headers put them, the foregrounds overlap clearly less than ",
                  "about their middles: put by the foregrounds' centres of mass; --initial physical leaves them");
    }
    if (const std::string doubt = placement_doubt(place); !doubt.empty()) {
      log_warning(fixed_, " and ", moving_, ": ", doubt);
    }
  }

  /// Labels of a 4-D scan may be one volume or as many.
  std::optional<LabelVolume> read_labels(const Volume& moving) const {
    if (labels_.empty()) {
      return std::nullopt;
    }
    const bool series = read_volume_header(labels_, VolumePart::kLabels, npz_orientation_, 0).frames > 1;
    LabelVolume labels = read_label_volume(labels_, npz_orientation_, series ? moving_frame_ : -1);
    REGATTA_REQUIRE(
        labels.grid.shape == moving.grid.shape && same_grid(labels.grid.affine, moving.grid.affine, moving.grid.shape),
        DataError, labels_, ": labels ", shape_text(labels.grid.shape), " are not on the grid of ", moving_, " (",
        shape_text(moving.grid.shape), ")");
    return labels;
  }

  void write_labels(const Registration& found, const Volume& fixed, const LabelVolume& labels) const {
    const auto warped = warp_labels_with_field(labels.labels, found.moving_grid, found.field, fixed.grid);
    write_nifti(output_ / "warped_labels.nii.gz", std::span<const std::int32_t>(warped), fixed.grid, fixed.space);
    if (!same_grid(labels.grid.affine, found.moving_grid.affine, labels.grid.shape)) {
      write_nifti(output_ / kPlacedLabels, std::span<const std::int32_t>(labels.labels), found.moving_grid);
    }
  }

  static Json place_json(const Registration& found, const Volume& moving) {
    const Placement& place = found.placement;
    Json out = {{"rule", place.rule},
                {"common_space", place.common_space},
                {"fixed_to_moving", place.fixed_to_moving},
                {"overlap", number_to_json(place.overlap)}};
    for (const auto& [rule, overlap] : place.overlaps) {
      out["overlaps"][rule] = number_to_json(overlap);
    }
    if (was_given_space(found, moving)) {
      out["moving_affine"] = found.moving_grid.affine;
    }
    return out;
  }

  void write_record(const TrainedModel& trained, const Registration& found, const Volume& moving,
                    const Outside& outside) const {
    Json record;
    record["schema"] = 1;
    record["model"] = fs::absolute(model_).string();
    record["model_xxh3"] = trained.weights_xxh3;
    if (!trained.converted.empty()) {
      record["model_converted"] = trained.converted;
    }
    record["fixed"] = fs::absolute(fixed_).string();
    record["moving"] = fs::absolute(moving_).string();
    record["field"] = {{"file", field_path().filename().string()}, {"format", field_format_}};
    record["build"] = build_id();
    record["torch"] = torch_version_text();
    record["device"] = device_name(choose_device(device_));
    record["when"] = system_clock().utc_text();
    record["network_s"] = found.network_s;
    for (const auto& [name, value] : found.after) {
      record["metrics"][name] = {{"before", number_to_json(found.before.at(name))}, {"after", number_to_json(value)}};
    }
    if (found.affine) {
      record["affine"] = {{"fixed_to_moving", found.affine->fixed_to_moving},
                          {"ncc_before", found.affine->ncc_before},
                          {"ncc_after", found.affine->ncc_after},
                          {"overlap", found.affine->overlap}};
    }
    record["place"] = place_json(found, moving);
    record["outside"] = {{"value", outside.value}, {"from", outside.from}, {"share", outside.share}};
    record["preprocessing"] = write_options(trained.preprocess);
    write_file_atomically(output_ / kRecord, dump_pretty(record));
  }

  void print(const Registration& found, const Volume& moving, const Outside& outside, double seconds) const {
    const Placement& place = found.placement;
    std::vector<std::string> others;
    for (const auto& [rule, overlap] : place.overlaps) {
      if (rule != place.rule) {
        others.push_back(str(rule, ' ', fixed_text(overlap, 2)));
      }
    }
    std::cout << "moving scan's place " << place.rule << ": foregrounds overlap " << fixed_text(place.overlap, 2)
              << (others.empty() ? "" : str(" (", join(others, ", "), ")")) << '\n';
    if (outside.share > 0.0) {
      std::cout << "outside the moving  " << fixed_text(100.0 * outside.share, 1)
                << " % of the warped image: " << to_text(double{outside.value}) << " there (" << outside.from << ")\n";
    }
    if (found.affine) {
      std::cout << "affine: local correlation " << to_text(found.affine->ncc_before) << " -> "
                << to_text(found.affine->ncc_after) << '\n';
      const std::string doubt = alignment_doubt(found.affine->ncc_after, found.affine->fixed_to_moving);
      if (!doubt.empty()) {
        log_warning("the affine alignment is doubtful: ", doubt);
      }
    }
    for (const auto& [name, value] : found.after) {
      std::cout << name << (found.affine ? ", aligned, " : " ") << to_text(found.before.at(name)) << " -> "
                << to_text(value) << '\n';
    }
    std::cout << "network " << duration_text(found.network_s) << ", in all " << duration_text(seconds) << '\n'
              << "warped image        " << (output_ / "warped.nii.gz").string() << '\n'
              << "displacement field  " << field_path().string() << '\n';
    if (!labels_.empty()) {
      std::cout << "warped labels       " << (output_ / "warped_labels.nii.gz").string() << '\n';
    }
    if (was_given_space(found, moving)) {
      std::cout << "moving scan, placed " << (output_ / kPlaced).string() << ": the field leads to it\n";
    }
    std::cout << "picture             " << (output_ / "registration.png").string() << '\n';
  }

  std::string model_;
  std::string fixed_;
  std::string moving_;
  std::string labels_;
  int fixed_frame_ = -1;
  int moving_frame_ = -1;
  bool affine_ = false;
  bool no_affine_ = false;
  std::string initial_;
  double outside_ = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not given
  fs::path output_;
  std::string field_format_ = "itk";
  std::string device_ = "auto";
  std::string backend_ = "auto";
  std::string npz_orientation_ = "RAS";
};

}  // namespace

std::unique_ptr<Command> make_register() {
  return std::make_unique<Register>();
}

}  // namespace regatta::app
