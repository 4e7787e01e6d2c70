// Measures trained weights on the pairs of an archive's split, as validation does, without files in between.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "regatta/train/registration.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// What was measured of one pair.
struct SplitCase {
  std::string name;                       ///< MOVING_to_FIXED by the subjects' ids
  std::map<std::string, double> values;   ///< "dice", "dice/17" ...: labels by their ids
  std::map<std::string, double> initial;  ///< Dice and TRE with a field of zeros
  double network_s = 0.0;
};

/// The pairs of a split in the archive's order, labels and key-points as the archive has them.
/// @param metrics  names; empty: the training's validation metrics
/// @param on_pair  called after each with (done, all)
/// @throws ConfigError for an unknown metric, one whose inputs no pair of the split has, or a split without pairs;
///         DataError from the archive; DeviceError
std::vector<SplitCase> evaluate_split(TrainedModel& trained, const Archive& archive, const std::string& split,
                                      const std::vector<std::string>& metrics, const NetworkRun& run,
                                      const std::function<void(std::int64_t, std::int64_t)>& on_pair = {});

}  // namespace regatta
