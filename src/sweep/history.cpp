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
    if (trial.phase == TrialPhase::kHeld || trial.status == TrialStatus::kPruned) {
      is_pruned = true;
      add_value(trial.rungs.empty() ? std::nullopt : trial.rungs.back(), trial.step);
      return;
    }
    if (trial.phase != TrialPhase::kDone || !trial.status) {
      ++waiting;
      return;
    }
    switch (*trial.status) {
      case TrialStatus::kOk: add_value(trial.best, trial.step); return;
      case TrialStatus::kDiverged:
      case TrialStatus::kInfeasible: is_infeasible = true; return;
      case TrialStatus::kPruned:
      case TrialStatus::kFailed:
      case TrialStatus::kQuarantined: return;
    }
  }

  /// @param value  nothing: it was never a finite number
  void add_value(const std::optional<double>& value, std::int64_t step) {
    is_infeasible = is_infeasible || !value;
    if (value) {
      ++values;
      sum += *value;
      least_step = std::min(least_step, step);
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

/// A replicate that waits for its point to reach the end, or was pruned with it, says nothing of its own.
bool waits_for_point(const SweepState& state, const TrialState& trial) {
  const bool is_untouched = trial.phase == TrialPhase::kWaiting || trial.status == TrialStatus::kPruned;
  const auto point = state.standings().point_of(trial.number);
  return is_untouched && point && state.standings().is_follower(trial.number) &&
         state.standings().state(*point) != PointState::kFinished;
}

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
    if (const TrialState at = state.trial(number); !waits_for_point(state, at)) {
      setting.add(at);
    }
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
