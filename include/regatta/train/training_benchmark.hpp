// Times a recipe's own training on its own data for a few steps: what `regatta plan --measure` forecasts from. Writes
// no files.
#pragma once

#include <string>

#include "regatta/train/resolve.hpp"

namespace regatta {

struct TrainingTimes {
  std::string device;               ///< "NVIDIA H200", "cpu"
  double step_ms = 0.0;             ///< median
  double validation_pair_ms = 0.0;  ///< forward pass and all metrics of one pair
  double load_s = 0.0;              ///< all volumes of the training, at the pace of the first
};

/// Loads no more subjects than a few steps need. @param steps  timed, after two that are not
/// @throws DataError from the archive; Error with exit code 12 (out of memory)
TrainingTimes benchmark_training(const ResolvedRecipe& resolved, const Archive& archive, int steps);

}  // namespace regatta
