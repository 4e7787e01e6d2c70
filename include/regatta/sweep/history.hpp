// What a sampler may know of a sweep: the settings that have been proposed, and how they came out. One observation per
// setting: its replicates and folds are one, by their mean.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/sweep/axis.hpp"

namespace regatta {

enum class ObservationState : std::uint8_t {
  kComplete,
  kPruned,      ///< ended early, or waits at a rung and is not among the best there; its value is that of `step`
  kInfeasible,  ///< diverged, or did not fit into memory: worse than any that has a value
  kRunning      ///< proposed, not all of its trials have ended
};

struct Observation {
  Point point;
  ObservationState state = ObservationState::kRunning;
  double value = 0.0;     ///< objective: kComplete, kPruned
  std::int64_t step = 0;  ///< kPruned: of the value
};

/// In the order in which the settings were proposed; those of other sweeps first.
struct History {
  std::vector<Observation> observations;
  bool maximise = true;

  /// Observations that have ended.
  std::int64_t ended() const {
    std::int64_t count = 0;
    for (const Observation& observation : observations) {
      count += observation.state == ObservationState::kRunning ? 0 : 1;
    }
    return count;
  }
};

class SweepState;
class TrialList;

/// What the journal says of a sweep's settings that have been decided: complete once all their trials have ended, by
/// the mean of those that have a value; infeasible if one of them diverged or did not fit into memory. Settings of
/// which trials failed otherwise and none has a value are left out. A trial that waits at a rung counts as pruned, with
/// the value of that rung, as with Optuna's pruners: whatever may go on from a rung does so before a new setting is
/// decided on. Results that other sweeps lend come first.
/// Cost: a replay of every trial that has begun.
History search_history(const SweepState& state, const TrialList& trials);

}  // namespace regatta
