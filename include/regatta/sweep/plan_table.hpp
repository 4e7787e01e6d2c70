// A planned sweep as `regatta plan` shows it: one row per trial, totals, disk by the retention rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/plan_time.hpp"

namespace regatta {

inline constexpr int kPlanSchema = 1;

/// What a planned sweep needs in all.
struct PlanTotals {
  std::int64_t trials = 0;
  std::int64_t steps = 0;
  std::int64_t most_device_bytes = 0;   ///< forecast of the largest trial
  std::int64_t least_device_bytes = 0;  ///< the same where volumes take turns on the device
  std::int64_t kept_bytes = 0;          ///< when all is done: the best weights of every trial
  std::int64_t running_bytes = 0;       ///< besides, while it runs, of the largest trial: its checkpoints
  std::int64_t files = 0;               ///< when all is done, a dozen a trial at most
};

/// Retention: a finished trial keeps its best weights, and with /checkpoint/keep_final its final checkpoint; a running
/// one its newest checkpoints (weights and optimiser state), one more while it is replaced, and the best weights.
PlanTotals plan_totals(const std::vector<TrialPlan>& plans);

/// For people: a head, a table with a row per trial, totals. @param time  if it has been forecast
std::string plan_text(const SweepDefinition& definition, const std::vector<TrialPlan>& plans,
                      const std::optional<PlanTime>& time = {});

/// For programs: the same and every resolved recipe.
Json plan_json(const SweepDefinition& definition, const std::vector<TrialPlan>& plans,
               const std::optional<PlanTime>& time = {});

/// The networks as a table. @param answer  of `regatta-engine describe --models` @throws DataError if it is none
std::string models_text(const Json& answer);

}  // namespace regatta
