// How long a planned sweep takes, from times that were measured: of its own trainings (`plan --measure`), or of
// networks
// (`regatta bench`). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "regatta/sweep/definition.hpp"

namespace regatta {

/// What the parts of a training cost on one device.
struct TrainingCost {
  double step_ms = 0.0;
  double validation_pair_ms = 0.0;
  double load_s = 0.0;  ///< all volumes of the training, once
};

/// Trials with equal keys take equally long per step: what is left of a recipe without rates, weights of losses, seed,
/// length and paths.
Json cost_key(const Json& resolved);

/// Loading, steps and validations of a whole training; checkpoints are not counted.
double training_s(const TrialPlan& plan, const TrainingCost& cost);

struct PlanTime {
  std::string device;                          ///< "NVIDIA H200", "cpu"
  std::string source;                          ///< how it was measured: "5 steps measured here"
  std::vector<std::optional<double>> trial_s;  ///< one per trial; nothing: not known
  std::vector<std::string> notes;              ///< what could not be forecast

  /// Of the trials that are known.
  double sum_s() const;
  bool is_whole() const;
};

/// Seconds until all trials have ended, `at_a_time` of them side by side, each begun when one before it has ended.
double makespan_s(const std::vector<double>& trial_s, int at_a_time);

/// Costs of a trial's network in a file of `regatta bench networks`, which has default options: by the number of
/// voxels for the trial's shape, times the batch. Nothing if the file does not have the network with as many
/// parameters.
std::optional<TrainingCost> cost_from_bench(const Json& bench, const TrialPlan& plan);

/// Of all trials, by such a file. @param source  names the file @throws DataError if it is none
PlanTime time_from_bench(const Json& bench, const std::string& source, const std::vector<TrialPlan>& plans);

/// "time    from 2 h to 3 h per trial, 31 GPU-hours ..."; one line.
std::string plan_time_text(const PlanTime& time);
Json to_json(const PlanTime& time);

}  // namespace regatta
