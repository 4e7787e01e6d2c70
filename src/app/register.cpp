// `regatta register`: scans in; warped images, displacement fields, pictures and JSON records out. Of one pair, or of
// many with one model.
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "app/command.hpp"
#include "app/learn2reg.hpp"
#include "app/model_argument.hpp"
#include "app/pair_list.hpp"
#include "app/register_many.hpp"
#include "app/registration_output.hpp"
#include "app/registration_pair.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/base/log.hpp"
#include "regatta/train/registration.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

class Register final : public Command {
 public:
  void declare(Arguments& app) override {
    RegisterSettings& s = settings_;
    add_model_option(app, models_)->required();
    app.add_option("--fixed", pair_.fixed, str("scan to align to (", volume_endings(), ")"));
    app.add_option("--moving", pair_.moving, "scan that is warped onto the fixed one");
    app.add_option("--fixed-labels", pair_.fixed_labels,
                   "label map of the fixed scan: the Dice with the moving scan's labels is measured");
    app.add_option("--moving-labels", pair_.moving_labels,
                   "label map of the moving scan, warped along with it (nearest)");
    app.add_option("--fixed-points", pair_.fixed_points,
                   "CSV of points of the fixed scan, as `regatta warp` reads them: they are taken to the moving scan");
    app.add_option("--moving-points", pair_.moving_points,
                   "CSV of points of the moving scan, taken to the fixed one; with as many --fixed-points their mean "
                   "distance is measured");
    app.add_option("--points-unit", s.points_unit,
                   "of the points, in and out: voxel (of the scan they lie in), ras or lps (millimetres)")
        ->one_of({"voxel", "ras", "lps"});
    app.add_option("--fixed-frame", pair_.fixed_frame, "volume of a 4-D fixed scan, counted from 0");
    app.add_option("--moving-frame", pair_.moving_frame, "volume of a 4-D moving scan, counted from 0");
    app.add_option("--pairs", pairs_,
                   "many pairs instead: a CSV with a header, or JSON {\"pairs\": [...]}: fixed, moving, and where "
                   "wanted name, fixed_labels, moving_labels, fixed_points, moving_points, fixed_frame, moving_frame. "
                   "Each gets a folder in the output; the same command again continues where it stopped");
    app.add_option("--archive", archive_, "many pairs instead: those of a split of this archive, as they are packed");
    app.add_option("--learn2reg", learn2reg_,
                   "many pairs instead: those of a Learn2Reg task's NAME_dataset.json; the folder to submit is written "
                   "and checked");
    app.add_option("--learn2reg-form", learn2reg_form_,
                   "with --learn2reg: nifti: as since 2022; npz: float16 at half resolution, as in 2021; auto: npz for "
                   "OASIS, else nifti")
        ->one_of({"auto", "nifti", "npz"})
        ->capture_default_str();
    app.add_option("--split", split_,
                   "with --archive: the split, default test; with --learn2reg: val (the default) or test");
    Argument* affine = app.add_flag("--affine", s.affine,
                                    "align the moving scan to the fixed one with 12 parameters first; automatic "
                                    "where the training data were aligned (affine: to_atlas) and of one modality");
    app.add_flag("--no-affine", s.no_affine, "no affine alignment, even if the training data were aligned")
        ->excludes(affine);
    app.add_option("--initial", s.initial,
                   "where the moving scan lies at first: physical: where the headers say; centre: about the middle of "
                   "the fixed one; foreground: by the foregrounds' centres of mass; or an affine from fixed to moving: "
                   "a file of ITK, ANTs, greedy (RAS) or fsl:FILE. Default: physical, unless the foregrounds overlap "
                   "clearly less there than about the middles; then foreground")
        ->excludes(affine);
    app.add_option("--outside", s.outside,
                   "value of the warped image where the moving scan has no voxels; default: the low of the window that "
                   "the network was trained with, without one the scan's background");
    app.add_option("-o,--output", output_, "folder for the results; files of the same names are replaced")->required();
    app.add_option("--field-format", s.field_format,
                   "itk: 5-D, LPS millimetres, a transform for ITK, ANTs and SimpleITK; learn2reg: 4-D, voxels of the "
                   "moving scan, named disp_FFFF_MMMM.nii.gz where the scans have Learn2Reg's names")
        ->one_of({"itk", "learn2reg"})
        ->capture_default_str();
    app.add_flag("--inverse", s.inverse,
                 "also write the field from moving to fixed, and the fixed scan warped by it; voxels without an "
                 "inverse are counted");
    app.add_flag("--jacobian", s.jacobian, "also write the Jacobian determinant of the field, as an image");
    app.add_flag("--save-affine", s.save_affine,
                 "also write the affine that was found or given, as affine.mat for ANTs and ITK");
    app.add_option("--refine", s.refine.iterations,
                   "instance optimisation: at most this many iterations of Adam on the field itself, starting from the "
                   "network's, with the training's losses; stops when converged")
        ->range(0, 100000);
    app.add_option("--refine-loss", refine_loss_,
                   "losses of the instance optimisation: LOSS:WEIGHT,... such as ncc:1,grad:1");
    app.add_option("--refine-rate", s.refine.rate, "step size of the instance optimisation, voxels per iteration")
        ->range(1e-6, 100.0)
        ->capture_default_str();
    app.add_option("--device", s.device, "auto, cpu or cuda:N")->capture_default_str();
    app.add_option("--backend", s.backend, "backend of the network: auto, fast or reference")
        ->one_of({"auto", "fast", "reference"})
        ->capture_default_str();
    app.add_option("--npz-orientation", npz_orientation_,
                   "axes of .npz files, which carry no affine; default RAS, with a warning");
  }

  ExitCode run() override {
    require_arguments();
    settings_.npz_orientation = npz_orientation_.empty() ? settings_.npz_orientation : npz_orientation_;
    if (!refine_loss_.empty()) {
      settings_.refine.losses = parse_loss_terms(refine_loss_);
    }
    std::optional<Archive> archive;
    if (!archive_.empty()) {
      archive.emplace(Archive::open(archive_));
      settings_.archive_fingerprint = archive->fingerprint();
    }
    Learn2RegTask task;
    const std::vector<PairFiles> pairs = pairs_of(archive, task);
    require_points_unit(pairs);
    warn_of_npz(pairs);
    const double start = system_clock().monotonic_s();
    TrainedModel trained = load();
    if (archive) {
      warn_of_preprocessing(trained, *archive);
    }
    const PairReader reader(settings_, trained, archive ? &*archive : nullptr);
    if (is_many()) {
      const std::size_t failures = register_pairs(trained, reader, pairs, settings_, output_);
      REGATTA_REQUIRE(learn2reg_.empty() || failures == 0, DataError, output_.string(),
                      ": no submission is written: ", failures, " of its ", pairs.size(), " pairs failed");
      if (!learn2reg_.empty()) {
        write_submission(task, output_, settings_.npz_orientation);
      }
      return failures == 0 ? ExitCode::kOk : ExitCode::kData;
    }
    const LoadedPair loaded = reader.read(pairs.front());
    Registration found = reader.prepare(pairs.front(), loaded);
    run_network(trained, found, network_run(settings_));
    finish_registration(found, loaded.fixed.grid);
    const Json record = write_pair(trained, pairs.front(), loaded, settings_, found);
    print_pair(record, pairs.front(), system_clock().monotonic_s() - start);
    return ExitCode::kOk;
  }

 private:
  bool is_many() const { return !pairs_.empty() || !archive_.empty() || !learn2reg_.empty(); }

  std::vector<PairFiles> pairs_of(const std::optional<Archive>& archive, Learn2RegTask& task) {
    if (archive) {
      return archived_pairs(*archive, split_.empty() ? "test" : split_, output_);
    }
    if (!pairs_.empty()) {
      return read_pair_list(pairs_, output_);
    }
    if (!learn2reg_.empty()) {
      REGATTA_REQUIRE(split_.empty() || split_ == "val" || split_ == "test", ConfigError, "regatta register: --split '",
                      split_, "': val or test expected with --learn2reg");
      task = read_learn2reg_task(learn2reg_, split_.empty() ? "val" : split_, learn2reg_form_, output_);
      settings_.field_format = "learn2reg";
      settings_.points_unit = "voxel";  // as the challenge's key-points are
      return task.pairs;
    }
    std::vector<PairFiles> out = {pair_};
    out.front().output = output_;
    return out;
  }

  void require_arguments() const {
    const bool one = !pair_.fixed.empty() && !pair_.moving.empty();
    const int sources = (pairs_.empty() ? 0 : 1) + (archive_.empty() ? 0 : 1) + (learn2reg_.empty() ? 0 : 1);
    REGATTA_REQUIRE(sources <= 1, ConfigError,
                    "regatta register: --pairs, --archive and --learn2reg: one of them per call");
    REGATTA_REQUIRE(
        is_many() ? files_of(pair_).empty() : one, ConfigError, "regatta register: ",
        is_many()
            ? "--pairs, --archive and --learn2reg name the scans: no --fixed, --moving, labels or points beside them"
            : "--fixed and --moving are needed, or --pairs LIST, --archive A or --learn2reg LIST");
    REGATTA_REQUIRE(pair_.fixed_labels.empty() || !pair_.moving_labels.empty(), ConfigError,
                    "regatta register: --fixed-labels without --moving-labels: nothing to compare them with");
    REGATTA_REQUIRE(archive_.empty() || (!settings_.affine && settings_.initial.empty()), ConfigError,
                    "regatta register: --archive takes scans as they are packed: no --affine or --initial");
    REGATTA_REQUIRE(refine_loss_.empty() || settings_.refine.iterations > 0, ConfigError,
                    "regatta register: --refine-loss without --refine N");
    std::error_code error;
    REGATTA_REQUIRE(!fs::exists(output_, error) || fs::is_directory(output_, error), DataError, output_.string(),
                    ": is a file, a folder expected");
  }

  TrainedModel load() {
    settings_.models = weights_of(models_);
    TrainedModel trained = load_trained_ensemble(settings_.models, settings_.device, settings_.backend);
    if (!trained.converted.empty()) {
      log_info(join(models_, ", "), ": converted: ", trained.converted);
    }
    report_alignment(trained);
    return trained;
  }

  /// Taken wrongly, the network sees a head that lies on its side.
  void warn_of_npz(const std::vector<PairFiles>& pairs) const {
    for (const PairFiles& pair : pairs) {
      for (const std::string& file : files_of(pair)) {
        if (npz_orientation_.empty() && file.ends_with(".npz")) {
          log_warning(file, ": an npz file does not say where its axes lead: ", settings_.npz_orientation,
                      " is assumed; --npz-orientation says it, as LIA");
          return;
        }
      }
    }
  }

  void require_points_unit(const std::vector<PairFiles>& pairs) const {
    for (const PairFiles& pair : pairs) {
      REGATTA_REQUIRE(!settings_.points_unit.empty() || (pair.fixed_points.empty() && pair.moving_points.empty()),
                      ConfigError, "regatta register: points need --points-unit voxel|ras|lps: no file says it");
    }
  }

  void report_alignment(const TrainedModel& trained) const {
    if (!trained.data_aligned || !archive_.empty() || settings_.affine || settings_.no_affine ||
        !settings_.initial.empty()) {
      return;
    }
    const bool alike = trained.recipe.data.moving_modality == trained.recipe.data.fixed_modality;
    log_info("the training data were aligned", alike ? ", and so are these scans; --no-affine leaves them as they lie"
                                                     : "; scans of two modalities are taken as they lie");
  }

  std::vector<std::string> models_;
  RegisterSettings settings_;
  PairFiles pair_;
  std::string pairs_;
  std::string archive_;
  std::string npz_orientation_;
  std::string learn2reg_;
  std::string learn2reg_form_ = "auto";
  std::string split_;
  std::string refine_loss_;
  fs::path output_;
};

}  // namespace

std::unique_ptr<Command> make_register() {
  return std::make_unique<Register>();
}

}  // namespace regatta::app
