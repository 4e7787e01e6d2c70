// Registers one pair of scans with trained weights: prepares both as the training data were prepared, runs the network
// and brings the field back to the fixed scan's own grid. No files are written here.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/placement.hpp"

namespace regatta {

/// The network of a weights file, and how its training data were prepared.
struct TrainedModel {
  Recipe recipe;
  PreprocessOptions preprocess;  ///< shape and spacing as the archive had them
  bool data_aligned = false;     ///< the training data were, to an atlas
  std::unique_ptr<Model> model;
  std::string weights_xxh3;  ///< of the file
  std::string converted;     ///< what `load_parameters` converted
};

/// Reads a file that a training (best.safetensors) or `regatta convert` wrote. @throws DataError naming the file: not
/// such a file, weights that do not fit the network it names
/// @param backend  auto, fast or reference
TrainedModel load_trained_model(const std::filesystem::path& path, const std::string& device = "cpu",
                                const std::string& backend = "auto");

/// A displacement field and what was measured on the way.
struct Registration {
  std::vector<float> field;  ///< [3, D, H, W] on the fixed scan's grid, in its voxels, pull-back
  PreparedImage fixed;       ///< on the packed grid ...
  PreparedImage moving;
  std::vector<float> packed_warped;      ///< [D, H, W]
  std::vector<float> packed_field;       ///< [3, D, H, W], packed voxels
  std::map<std::string, double> before;  ///< the recipe's validation metrics that need no labels, without the network's
                                         ///< field: where asked for, of the affinely aligned scans
  std::map<std::string, double> after;
  double network_s = 0.0;
  Placement placement;                       ///< where the moving scan lay at first
  Grid moving_grid;                          ///< the moving file's; in the fixed scan's space where none was common
  std::optional<AffineRegistration> affine;  ///< what was found first, where it was asked for
};

/// @param device   "auto", "cpu" or "cuda:N"
/// @param affine   align the moving scan to the fixed one first; the field then holds both
/// @param initial  where the moving scan lies at first, see `place_moving`
/// @throws DataError naming the scan, DeviceError, ConfigError for a place that it cannot have
Registration register_scans(TrainedModel& trained, const Volume& fixed, const Volume& moving, const std::string& device,
                            bool affine = false, const std::string& initial = "");

}  // namespace regatta
