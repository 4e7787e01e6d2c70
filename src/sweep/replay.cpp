// How the records of one trial become its state. Everything here looks at sets of facts, never at the order in which
// they arrived, so that every reader of the same shards sees the same sweep.
#include "regatta/sweep/replay.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

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

/// An end that the next attempt's writer had not seen came too late: that writer took the attempt for lost.
bool end_counts(const std::vector<AttemptRecords>& attempts, std::size_t i) {
  return i + 1 == attempts.size() || attempts[i + 1].start->details->seen == status_name(attempts[i].end->status);
}

void judge(const AttemptList& attempts, const ReplayContext& context, TrialOutcome& outcome) {
  Charges charges;
  for (std::size_t i = 0; i < attempts.started.size(); ++i) {
    const AttemptRecords& attempt = attempts.started[i];
    outcome.checkpoint_step = std::max(outcome.checkpoint_step, attempt.checkpoint_step);
    outcome.last_status.reset();
    if (attempt.end == nullptr || !end_counts(attempts.started, i)) {
      continue;
    }
    const AttemptStatus status = attempt.end->status;
    outcome.last_status = status;
    outcome.last_message = attempt.end->details->message.empty() ? outcome.last_message : attempt.end;
    if (attempt.number <= attempts.retried_up_to) {
      continue;
    }
    if (status == AttemptStatus::kOk && attempt.start->details->length < context.length) {
      charges = {};  // done at a shorter length: it continues
    } else if (status == AttemptStatus::kOk) {
      outcome.status = TrialStatus::kOk;
      outcome.result = attempt.end;
    } else if (status == AttemptStatus::kDiverged) {
      outcome.status = TrialStatus::kDiverged;
    } else if (is_own_failure(status) && attempt.checkpoint_step <= attempt.start->step) {
      charges.add(status);
    }
  }
  outcome.charged = charges.total;
  if (!outcome.status) {
    outcome.status = verdict(charges, context.rules.max_attempts);
  }
}

/// Best objective of the history: what an attempt reported beyond the step at which a later one resumed was done again.
void replay_reports(const TrialHistory& history, const std::vector<AttemptRecords>& attempts, const SweepRules& rules,
                    TrialState& state) {
  std::int64_t superseded_after = std::int64_t{1} << 60;
  for (auto each = attempts.rbegin(); each != attempts.rend(); ++each) {
    history.for_each([&](const JournalRecord& report) {
      if (report.type != RecordType::kReport || report.attempt != each->number || report.shard != each->shard ||
          report.step > superseded_after) {
        return;
      }
      state.epoch = std::max(state.epoch, report.epoch);
      const auto objective = objective_in(report.details->values, rules);
      if (!objective) {
        return;
      }
      const bool earlier_tie = state.best && *objective == *state.best && report.step < state.best_step;
      if (!state.best || rules.is_better(*objective, *state.best) || earlier_tie) {
        state.best = objective;
        state.best_step = report.step;
      }
    });
    superseded_after = std::min(superseded_after, each->start->step);
  }
}

}  // namespace

const char* phase_name(TrialPhase phase) {
  switch (phase) {
    case TrialPhase::kWaiting: return "waiting";
    case TrialPhase::kRunning: return "running";
    case TrialPhase::kPaused: return "paused";
    case TrialPhase::kDone: return "done";
  }
  return "unknown";
}

void gather_attempts(const TrialHistory& history, AttemptList& attempts) {
  std::vector<AttemptRecords>& list = attempts.started;
  list.clear();
  attempts.retried_up_to = 0;
  history.for_each([&](const JournalRecord& record) {
    if (record.type == RecordType::kRetry) {
      attempts.retried_up_to = std::max<int>(attempts.retried_up_to, record.attempt);
      return;
    }
    auto of = std::find_if(list.rbegin(), list.rend(), [&record](const AttemptRecords& each) {
      return each.number == record.attempt && each.shard == record.shard;
    });
    AttemptRecords& attempt = of == list.rend() ? list.emplace_back(AttemptRecords{record.attempt, record.shard}) : *of;
    if (record.type == RecordType::kStart) {
      attempt.start = &record;
    } else if (record.type == RecordType::kCheckpoint) {
      attempt.checkpoint_step = std::max(attempt.checkpoint_step, record.step);
    } else if (record.type == RecordType::kReport) {
      attempt.step = std::max(attempt.step, record.step);
    } else {
      attempt.end = &record;
    }
  });
  std::erase_if(list, [](const AttemptRecords& each) { return each.start == nullptr; });
  std::sort(list.begin(), list.end(), [&history](const AttemptRecords& a, const AttemptRecords& b) {
    const RecordStore& store = history.store();
    return a.number != b.number ? a.number < b.number : store.shard_name(a.shard) < store.shard_name(b.shard);
  });
  list.erase(std::unique(list.begin(), list.end(),
                         [](const AttemptRecords& a, const AttemptRecords& b) { return a.number == b.number; }),
             list.end());
}

TrialOutcome outcome_of(const AttemptList& attempts, const ReplayContext& context) {
  TrialOutcome outcome;
  judge(attempts, context, outcome);
  if (attempts.started.empty()) {
    return outcome;
  }
  const AttemptRecords& newest = attempts.started.back();
  outcome.step = std::max({newest.start->step, newest.checkpoint_step, newest.step});
  if (newest.end != nullptr) {
    outcome.step = std::max(outcome.step, newest.end->step);
  }
  if (outcome.status) {
    outcome.phase = TrialPhase::kDone;
  } else {
    const bool is_over = newest.end != nullptr || context.has_left(newest.shard);
    outcome.phase = is_over ? TrialPhase::kPaused : TrialPhase::kRunning;
  }
  return outcome;
}

TrialState replay_trial(std::int64_t number, const TrialHistory& history, const ReplayContext& context) {
  AttemptList attempts;
  gather_attempts(history, attempts);
  const TrialOutcome outcome = outcome_of(attempts, context);
  TrialState state;
  state.number = number;
  state.phase = outcome.phase;
  state.status = outcome.status;
  state.charged = outcome.charged;
  state.last_status = outcome.last_status;
  state.step = outcome.step;
  state.checkpoint_step = outcome.checkpoint_step;
  state.message = outcome.last_message == nullptr ? std::string() : outcome.last_message->details->message;
  state.result = outcome.result == nullptr ? Json() : outcome.result->details->values;
  if (!attempts.started.empty()) {
    const AttemptRecords& newest = attempts.started.back();
    state.attempts = newest.number;
    state.shard = history.store().shard_name(newest.shard);
    const RecordDetails& start = *newest.start->details;
    state.host = start.host;
    state.rank = start.rank;
    state.recipe_hash = start.recipe_hash;
    state.started_utc = start.time;
  }
  replay_reports(history, attempts.started, context.rules, state);
  if (const auto value = outcome.result == nullptr ? std::nullopt : final_objective(*outcome.result, context.rules)) {
    state.best = value;
    const Json* step = find_pointer(state.result, "/best_step");
    state.best_step = step != nullptr && step->is_number_integer() ? step->get<std::int64_t>() : state.best_step;
  }
  return state;
}

std::optional<double> final_objective(const JournalRecord& end, const SweepRules& rules) {
  const Json& values = end.details->values;
  const auto best = values.is_object() ? values.find("best") : values.end();
  return values.is_object() && best != values.end() ? objective_in(*best, rules) : std::nullopt;
}

std::optional<double> objective_in(const Json& metrics, const SweepRules& rules) {
  if (!metrics.is_object()) {
    return std::nullopt;
  }
  const auto found = metrics.find(rules.metric);
  if (found == metrics.end() || !found->is_number()) {
    return std::nullopt;  // "nan" and "inf" rank nothing
  }
  return found->get<double>();
}

}  // namespace regatta
