// Registers pairs of scans with trained weights: prepares both as the training data were prepared, runs the network
// and brings the field back to the fixed scan's own grid. The three parts may run in three threads. No files are
// written here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/train/refinement.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/placement.hpp"

namespace regatta {

/// The network of a weights file, and how its training data were prepared.
struct TrainedModel {
  Recipe recipe;
  PreprocessOptions preprocess;  ///< shape and spacing as the archive had them
  bool data_aligned = false;     ///< the training data were, to an atlas
  std::unique_ptr<Model> model;
  std::vector<std::unique_ptr<Model>> others;  ///< of an ensemble: its answer is the mean
  bool one_network = true;                     ///< they differ by their weights only
  std::string weights_xxh3;                    ///< of the file; several are joined by +
  std::string converted;                       ///< what `load_parameters` converted
};

/// Reads a file that a training (best.safetensors) or `regatta convert` wrote. @throws DataError naming the file: not
/// such a file, weights that do not fit the network it names
/// @param backend  auto, fast or reference
TrainedModel load_trained_model(const std::filesystem::path& path, const std::string& device = "cpu",
                                const std::string& backend = "auto");

/// Several such files as one: what belongs to the data and the metrics is the first's.
/// @throws DataError also for weights whose training data were prepared otherwise than the first's, or are of other
///         modalities
TrainedModel load_trained_ensemble(const std::vector<std::filesystem::path>& paths, const std::string& device = "cpu",
                                   const std::string& backend = "auto");

/// Label maps of a pair on the packed grid, for metrics.
struct PreparedLabels {
  std::vector<std::uint8_t> fixed;  ///< [D, H, W], indices into `values`
  std::vector<std::uint8_t> moving;
  std::vector<std::int64_t> values;  ///< [0] is the background
};

/// A displacement field and what was measured on the way.
struct Registration {
  std::vector<float> field;  ///< [3, D, H, W] on the fixed scan's grid, in its voxels, pull-back
  PreparedImage fixed;       ///< on the packed grid ...
  PreparedImage moving;
  PreparedLabels labels;               ///< empty: none
  std::vector<float> packed_warped;    ///< [D, H, W]
  std::vector<float> packed_field;     ///< [3, D, H, W], packed voxels
  std::vector<float> packed_inverse;   ///< the same from the moving array to the fixed one; empty: the network has none
  std::vector<float> network_inverse;  ///< that, on the moving file's grid, in its voxels
  std::map<std::string, double> before;  ///< the recipe's validation metrics that the pair has the inputs of, without
                                         ///< the network's field: where asked for, of the affinely aligned scans
  std::map<std::string, double> after;
  double network_s = 0.0;
  std::optional<Refinement> refinement;     ///< what it did, where it was asked for
  std::map<std::string, double> unrefined;  ///< `after` as the network left it
  double refinement_s = 0.0;
  Placement placement;                       ///< where the moving scan lay at first
  Grid moving_grid;                          ///< the moving file's; in the fixed scan's space where none was common
  std::optional<AffineRegistration> affine;  ///< what was found first, where it was asked for
  std::vector<std::string> doubts;           ///< what the caller found doubtful about the scans, for the record
};

/// Where the moving scan lies before the network sees it.
struct RegistrationStart {
  bool affine = false;          ///< align the moving scan to the fixed one first; the field then holds both
  std::string rule;             ///< see `place_moving`
  std::optional<Affine> given;  ///< RAS mm of the fixed scan to those of the moving one, from elsewhere
};

/// Both scans on the packed grid: what comes before the network, which it does not touch; any thread may call it.
/// @throws DataError naming the scan, ConfigError for a place that it cannot have
Registration prepare_registration(const TrainedModel& trained, const Volume& fixed, const Volume& moving,
                                  const RegistrationStart& start = {});

/// The same of two volumes that an archive holds, which are taken as they are.
/// @param fixed, moving  on packed grids of one shape, each with its own affine
Registration packed_registration(const Volume& fixed, const Volume& moving);

struct NetworkRun {
  std::string device = "auto";  ///< "auto", "cpu" or "cuda:N"
  RefineOptions refine = {};
  bool inverse = false;  ///< what a two-directional network, or the negated velocity, says of the way back
};

/// The network on what was prepared, instance optimisation where it is asked for, and the metrics. A velocity is
/// refined as one, and of an ensemble of one network's trainings the mean of the velocities is integrated.
/// @throws DeviceError; of the refinement, see `refine_field`
void run_network(TrainedModel& trained, Registration& registration, const NetworkRun& run);

/// The field on the fixed scan's grid, and the network's inverse on the moving one's; any thread may call it.
void finish_registration(Registration& registration, const Grid& fixed);

/// All three, one after the other.
/// @param affine, initial  see RegistrationStart
Registration register_scans(TrainedModel& trained, const Volume& fixed, const Volume& moving, const std::string& device,
                            bool affine = false, const std::string& initial = "");

}  // namespace regatta
