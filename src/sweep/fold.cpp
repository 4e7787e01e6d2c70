// How the records of one trial become its state. Everything here looks at sets of facts, never at the order in which
// they arrived, so that every reader of the same shards sees the same sweep.
#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/sweep/state.hpp"

namespace regatta {
namespace {

/// The trial's own process failed while its supervisor lived to tell.
bool is_own_failure(AttemptStatus status) {
  switch (status) {
    case AttemptStatus::kBadInput:
    case AttemptStatus::kFailed:
    case AttemptStatus::kSignal:
    case AttemptStatus::kOom:
    case AttemptStatus::kDevice:
    case AttemptStatus::kHang: return true;
    case AttemptStatus::kOk:
    case AttemptStatus::kPaused:
    case AttemptStatus::kTimeout:
    case AttemptStatus::kPreempted:
    case AttemptStatus::kDiverged:
    case AttemptStatus::kLost: return false;
  }
  return false;
}

/// Failed attempts of one trial, by cause.
struct Charges {
  int total = 0;
  int oom = 0;
  int bad_input = 0;

  void add(AttemptStatus status) {
    ++total;
    oom += status == AttemptStatus::kOom ? 1 : 0;
    bad_input += status == AttemptStatus::kBadInput ? 1 : 0;
  }
};

/// Out of memory and bad input would come again: one confirmation is enough.
std::optional<TrialStatus> verdict(const Charges& charges, int max_attempts) {
  constexpr int kConfirmed = 2;
  if (charges.oom >= kConfirmed) {
    return TrialStatus::kInfeasible;
  }
  if (charges.bad_input >= kConfirmed) {
    return TrialStatus::kFailed;
  }
  if (charges.total >= max_attempts) {
    return TrialStatus::kQuarantined;
  }
  return std::nullopt;
}

}  // namespace

TrialState SweepState::fold(std::int64_t number, const Trial& trial) const {
  TrialState state;
  state.number = number;
  const StartedAttempts attempts = started_attempts(trial);
  Charges charges;
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    const auto& [key, attempt, shard] = attempts[i];
    state.checkpoint_step = std::max(state.checkpoint_step, attempt->checkpoint_step);
    state.last_status.reset();
    if (!attempt->end || !end_counts(attempts, i)) {
      continue;
    }
    const AttemptStatus status = attempt->end->status;
    state.last_status = status;
    state.message = attempt->end->message.empty() ? state.message : attempt->end->message;
    if (key <= trial.retried_up_to) {
      continue;
    }
    if (status == AttemptStatus::kOk) {
      state.status = TrialStatus::kOk;
      state.result = attempt->end->result;
    } else if (status == AttemptStatus::kDiverged) {
      state.status = TrialStatus::kDiverged;
    } else if (is_own_failure(status) && attempt->checkpoint_step <= attempt->resume_step) {
      charges.add(status);
    }
  }
  state.charged = charges.total;
  if (!state.status) {
    state.status = verdict(charges, rules_.max_attempts);
  }
  fold_newest(attempts, state);
  fold_reports(attempts, state);
  return state;
}

SweepState::StartedAttempts SweepState::started_attempts(const Trial& trial) {
  StartedAttempts started;
  for (const auto& [key, by_shard] : trial.attempts) {
    const auto first =
        std::find_if(by_shard.begin(), by_shard.end(), [](const auto& each) { return each.second.started; });
    if (first != by_shard.end()) {
      started.push_back({key, &first->second, first->first});
    }
  }
  return started;
}

/// An end that the next attempt's writer had not seen came too late: that writer took the attempt for lost.
bool SweepState::end_counts(const StartedAttempts& attempts, std::size_t i) {
  return i + 1 == attempts.size() || attempts[i + 1].attempt->seen == status_name(attempts[i].attempt->end->status);
}

void SweepState::fold_newest(const StartedAttempts& attempts, TrialState& state) const {
  if (attempts.empty()) {
    return;
  }
  const auto& [key, attempt, shard] = attempts.back();
  state.attempts = key;
  state.shard = shard;
  state.host = attempt->host;
  state.rank = attempt->rank;
  state.recipe_hash = attempt->recipe_hash;
  state.started_utc = attempt->time;
  state.step = std::max(attempt->resume_step, attempt->checkpoint_step);
  for (const Report& report : attempt->reports) {
    state.step = std::max(state.step, report.step);
  }
  if (attempt->end) {
    state.step = std::max(state.step, attempt->end->step);
  }
  if (state.status) {
    state.phase = TrialPhase::kDone;
  } else {
    state.phase = attempt->end || left_.contains(shard) ? TrialPhase::kPaused : TrialPhase::kRunning;
  }
}

/// Best objective of the history: what an attempt reported beyond the step at which a later one resumed was done again.
void SweepState::fold_reports(const StartedAttempts& attempts, TrialState& state) const {
  std::int64_t superseded_after = std::int64_t{1} << 60;
  for (auto each = attempts.rbegin(); each != attempts.rend(); ++each) {
    for (const Report& report : each->attempt->reports) {
      if (report.step > superseded_after) {
        continue;
      }
      state.epoch = std::max(state.epoch, report.epoch);
      if (!report.objective) {
        continue;
      }
      const bool earlier_tie = state.best && *report.objective == *state.best && report.step < state.best_step;
      if (!state.best || is_better(*report.objective, *state.best) || earlier_tie) {
        state.best = report.objective;
        state.best_step = report.step;
      }
    }
    superseded_after = std::min(superseded_after, each->attempt->resume_step);
  }
  const Json* final_best = state.result.is_object() ? find_pointer(state.result, "/best") : nullptr;
  if (const auto value = final_best == nullptr ? std::nullopt : objective_in(*final_best)) {
    state.best = value;
    const Json* step = find_pointer(state.result, "/best_step");
    state.best_step = step != nullptr && step->is_number_integer() ? step->get<std::int64_t>() : state.best_step;
  }
}

}  // namespace regatta
