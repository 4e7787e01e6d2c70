// From the trials of a sweep to one observation per setting.
#include "regatta/sweep/history.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "regatta/sweep/state.hpp"

namespace regatta {
namespace {

/// The trials of one setting, as far as they count.
struct SettingResults {
  Point point;
  bool is_infeasible = false;
  bool is_pruned = false;
  std::int64_t waiting = 0;  ///< not ended
  std::int64_t values = 0;
  double sum = 0.0;
  std::int64_t least_step = std::numeric_limits<std::int64_t>::max();

  void add(const TrialState& trial) {
    if (trial.phase != TrialPhase::kDone || !trial.status) {
      ++waiting;
      return;
    }
    switch (*trial.status) {
      case TrialStatus::kOk:
      case TrialStatus::kPruned:
        is_pruned = is_pruned || *trial.status == TrialStatus::kPruned;
        is_infeasible = is_infeasible || !trial.best;  // its objective was never a finite number
        if (trial.best) {
          ++values;
          sum += *trial.best;
          least_step = std::min(least_step, trial.step);
        }
        return;
      case TrialStatus::kDiverged:
      case TrialStatus::kInfeasible: is_infeasible = true; return;
      case TrialStatus::kFailed:
      case TrialStatus::kQuarantined: return;
    }
  }

  /// @return false if nothing is known of the setting that says how good it is
  bool observe(Observation& observation) const {
    observation.point = point;
    if (waiting > 0) {
      observation.state = ObservationState::kRunning;
      return true;
    }
    if (is_infeasible) {
      observation.state = ObservationState::kInfeasible;
      return true;
    }
    if (values == 0) {
      return false;
    }
    observation.state = is_pruned ? ObservationState::kPruned : ObservationState::kComplete;
    observation.value = sum / static_cast<double>(values);
    observation.step = least_step;
    return true;
  }
};

}  // namespace

History search_history(const SweepState& state, const TrialList& trials) {
  History history;
  history.maximise = state.rules().maximise;
  for (const auto& [shard, lent] : state.lent()) {
    history.observations.insert(history.observations.end(), lent.observations.begin(), lent.observations.end());
  }
  std::map<std::int64_t, SettingResults> settings;
  for (std::int64_t number = 0; number < state.total(); ++number) {
    TrialPoint trial = trials.trial(number);
    if (trial.open) {
      continue;
    }
    SettingResults& setting = settings[trials.order_of(trial)];
    setting.add(state.trial(number));
    if (setting.point.empty()) {
      if (trials.space().drawn().size() < trials.axes().size()) {
        trial.point.erase(kFoldAxis);
      }
      setting.point = std::move(trial.point);
    }
  }
  for (const auto& [order, setting] : settings) {
    if (Observation observation; setting.observe(observation)) {
      history.observations.push_back(std::move(observation));
    }
  }
  return history;
}

}  // namespace regatta
