// How the records of one trial become its state. Everything here looks at sets of facts, never at the order in which
// they arrived, so that every reader of the same shards sees the same sweep.
#include "regatta/sweep/replay.hpp"

#include <algorithm>
#include <tuple>

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
    if (attempt.number > attempts.pruned_attempt) {  // those of a pruned trial are deleted
      outcome.checkpoint_step = std::max(outcome.checkpoint_step, attempt.checkpoint_step);
    }
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

/// Records that are no attempt's own. @return false for others
bool gather_decision(const JournalRecord& record, AttemptList& attempts) {
  if (record.type == RecordType::kRetry) {
    attempts.retried_up_to = std::max<int>(attempts.retried_up_to, record.attempt);
  } else if (record.type == RecordType::kRung) {
    const Json& value = record.details->values;
    attempts.rungs.push_back({&record, value.is_number() ? std::optional(value.get<double>()) : std::nullopt});
  } else if (record.type == RecordType::kPrune) {
    if (record.attempt > attempts.pruned_attempt) {
      attempts.pruned_attempt = record.attempt;
      attempts.pruned_rung = -1;
    }
    if (record.attempt == attempts.pruned_attempt) {
      attempts.pruned_rung = std::max(attempts.pruned_rung, static_cast<int>(record.epoch));
    }
  }
  return record.type == RecordType::kRetry || record.type == RecordType::kRung || record.type == RecordType::kPromote ||
         record.type == RecordType::kPrune;
}

/// Of each rung the record of the earliest attempt, up to the first rung that has none.
void keep_first_rungs(const RecordStore& store, std::vector<RungRecord>& rungs) {
  std::sort(rungs.begin(), rungs.end(), [&store](const RungRecord& a, const RungRecord& b) {
    return std::tuple(a.record->epoch, a.record->attempt, store.shard_name(a.record->shard), a.record->seq) <
           std::tuple(b.record->epoch, b.record->attempt, store.shard_name(b.record->shard), b.record->seq);
  });
  rungs.erase(std::unique(rungs.begin(), rungs.end(),
                          [](const RungRecord& a, const RungRecord& b) { return a.record->epoch == b.record->epoch; }),
              rungs.end());
  std::size_t count = 0;
  while (count < rungs.size() && rungs[count].record->epoch == static_cast<std::int64_t>(count)) {
    ++count;
  }
  rungs.resize(count);
}

/// At the rung of its level, with a checkpoint to go on from.
bool is_held(const AttemptList& attempts, std::int64_t checkpoint_step, const ReplayContext& context, int level) {
  return level < context.rules.rungs && static_cast<std::size_t>(level) < attempts.rungs.size() &&
         checkpoint_step >= attempts.rungs[static_cast<std::size_t>(level)].record->step;
}

}  // namespace

const char* phase_name(TrialPhase phase) {
  switch (phase) {
    case TrialPhase::kWaiting: return "waiting";
    case TrialPhase::kRunning: return "running";
    case TrialPhase::kPaused: return "paused";
    case TrialPhase::kHeld: return "held";
    case TrialPhase::kDone: return "done";
  }
  return "unknown";
}

void gather_attempts(const TrialHistory& history, AttemptList& attempts) {
  std::vector<AttemptRecords>& list = attempts.started;
  list.clear();
  attempts.rungs.clear();
  attempts.retried_up_to = attempts.pruned_attempt = 0;
  attempts.pruned_rung = -1;
  history.for_each([&](const JournalRecord& record) {
    if (gather_decision(record, attempts)) {
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
  keep_first_rungs(history.store(), attempts.rungs);
}

TrialOutcome outcome_of(const AttemptList& attempts, const ReplayContext& context, int level) {
  TrialOutcome outcome;
  judge(attempts, context, outcome);
  const int newest_started = attempts.started.empty() ? 0 : attempts.started.back().number;
  outcome.attempts = std::max(newest_started, attempts.pruned_attempt);
  if (!outcome.status && attempts.pruned_attempt > newest_started && attempts.pruned_rung >= level) {
    outcome.status = TrialStatus::kPruned;
    outcome.phase = TrialPhase::kDone;
  }
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
    outcome.phase = !is_over                                                     ? TrialPhase::kRunning
                    : is_held(attempts, outcome.checkpoint_step, context, level) ? TrialPhase::kHeld
                                                                                 : TrialPhase::kPaused;
  }
  return outcome;
}

TrialState replay_trial(std::int64_t number, const TrialHistory& history, const ReplayContext& context, int level) {
  AttemptList attempts;
  gather_attempts(history, attempts);
  const TrialOutcome outcome = outcome_of(attempts, context, level);
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
  for (const RungRecord& rung : attempts.rungs) {
    state.rungs.push_back(rung.value);
  }
  state.recalls = attempts.pruned_attempt > 0 && outcome.status != TrialStatus::kPruned ? 1 : 0;
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
