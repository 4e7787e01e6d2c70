// How the records of one trial become its state. Everything here looks at sets of facts, never at the order in which
// they arrived, so that every reader of the same shards sees the same sweep.
#include <algorithm>

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

/// Facts by attempt and shard; then of each attempt the shard that started it. Claims let only one shard start an
/// attempt; should two, the first by name counts. A shard's records come in its order, and are gone through from the
/// newest on: of several starts or ends of one attempt the first stays.
void SweepState::gather(const Trial& trial, Attempts& attempts) const {
  std::vector<Attempt>& list = attempts.started;
  list.clear();
  attempts.retried_up_to = 0;
  for (RecordStore::Id id = trial.newest; id != kNoRecord; id = before_[id]) {
    const JournalRecord& record = (*records_)[id];
    if (record.type == RecordType::kRetry) {
      attempts.retried_up_to = std::max<int>(attempts.retried_up_to, record.attempt);
      continue;
    }
    auto of = std::find_if(list.rbegin(), list.rend(), [&record](const Attempt& each) {
      return each.number == record.attempt && each.shard == record.shard;
    });
    Attempt& attempt = of == list.rend() ? list.emplace_back(Attempt{record.attempt, record.shard}) : *of;
    if (record.type == RecordType::kStart) {
      attempt.start = &record;
    } else if (record.type == RecordType::kCheckpoint) {
      attempt.checkpoint_step = std::max(attempt.checkpoint_step, record.step);
    } else if (record.type == RecordType::kReport) {
      attempt.step = std::max(attempt.step, record.step);
    } else {
      attempt.end = &record;
    }
  }
  std::erase_if(list, [](const Attempt& each) { return each.start == nullptr; });
  std::sort(list.begin(), list.end(), [this](const Attempt& a, const Attempt& b) {
    return a.number != b.number ? a.number < b.number : records_->shard_name(a.shard) < records_->shard_name(b.shard);
  });
  list.erase(
      std::unique(list.begin(), list.end(), [](const Attempt& a, const Attempt& b) { return a.number == b.number; }),
      list.end());
}

/// An end that the next attempt's writer had not seen came too late: that writer took the attempt for lost.
bool SweepState::end_counts(const std::vector<Attempt>& attempts, std::size_t i) {
  return i + 1 == attempts.size() || attempts[i + 1].start->details->seen == status_name(attempts[i].end->status);
}

void SweepState::verdict_of(const Attempts& attempts, Outcome& outcome) const {
  Charges charges;
  for (std::size_t i = 0; i < attempts.started.size(); ++i) {
    const Attempt& attempt = attempts.started[i];
    outcome.checkpoint_step = std::max(outcome.checkpoint_step, attempt.checkpoint_step);
    outcome.last_status.reset();
    if (attempt.end == nullptr || !end_counts(attempts.started, i)) {
      continue;
    }
    const AttemptStatus status = attempt.end->status;
    outcome.last_status = status;
    outcome.told = attempt.end->details->message.empty() ? outcome.told : attempt.end;
    if (attempt.number <= attempts.retried_up_to) {
      continue;
    }
    if (status == AttemptStatus::kOk && attempt.start->details->length < length_) {
      charges = {};  // done at a shorter length: it goes on
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
    outcome.status = verdict(charges, rules_.max_attempts);
  }
}

SweepState::Outcome SweepState::outcome_of(const Attempts& attempts) const {
  Outcome outcome;
  verdict_of(attempts, outcome);
  if (attempts.started.empty()) {
    return outcome;
  }
  const Attempt& newest = attempts.started.back();
  outcome.step = std::max({newest.start->step, newest.checkpoint_step, newest.step});
  if (newest.end != nullptr) {
    outcome.step = std::max(outcome.step, newest.end->step);
  }
  if (outcome.status) {
    outcome.phase = TrialPhase::kDone;
  } else {
    outcome.phase = newest.end != nullptr || has_left(newest.shard) ? TrialPhase::kPaused : TrialPhase::kRunning;
  }
  return outcome;
}

TrialState SweepState::fold(std::int64_t number, const Trial& trial) const {
  Attempts attempts;
  gather(trial, attempts);
  const Outcome outcome = outcome_of(attempts);
  TrialState state;
  state.number = number;
  state.phase = outcome.phase;
  state.status = outcome.status;
  state.charged = outcome.charged;
  state.last_status = outcome.last_status;
  state.step = outcome.step;
  state.checkpoint_step = outcome.checkpoint_step;
  state.message = outcome.told == nullptr ? std::string() : outcome.told->details->message;
  state.result = outcome.result == nullptr ? Json() : outcome.result->details->values;
  if (!attempts.started.empty()) {
    const Attempt& newest = attempts.started.back();
    state.attempts = newest.number;
    state.shard = records_->shard_name(newest.shard);
    const RecordDetails& start = *newest.start->details;
    state.host = start.host;
    state.rank = start.rank;
    state.recipe_hash = start.recipe_hash;
    state.started_utc = start.time;
  }
  fold_reports(trial, attempts.started, state);
  if (const auto value = outcome.result == nullptr ? std::nullopt : final_best(*outcome.result)) {
    state.best = value;
    const Json* step = find_pointer(state.result, "/best_step");
    state.best_step = step != nullptr && step->is_number_integer() ? step->get<std::int64_t>() : state.best_step;
  }
  return state;
}

/// Best objective of the history: what an attempt reported beyond the step at which a later one resumed was done again.
void SweepState::fold_reports(const Trial& trial, const std::vector<Attempt>& attempts, TrialState& state) const {
  std::int64_t superseded_after = std::int64_t{1} << 60;
  for (auto each = attempts.rbegin(); each != attempts.rend(); ++each) {
    for (RecordStore::Id id = trial.newest; id != kNoRecord; id = before_[id]) {
      const JournalRecord& report = (*records_)[id];
      if (report.type != RecordType::kReport || report.attempt != each->number || report.shard != each->shard ||
          report.step > superseded_after) {
        continue;
      }
      state.epoch = std::max(state.epoch, report.epoch);
      const auto objective = objective_in(report.details->values);
      if (!objective) {
        continue;
      }
      const bool earlier_tie = state.best && *objective == *state.best && report.step < state.best_step;
      if (!state.best || is_better(*objective, *state.best) || earlier_tie) {
        state.best = objective;
        state.best_step = report.step;
      }
    }
    superseded_after = std::min(superseded_after, each->start->step);
  }
}

std::optional<double> SweepState::final_best(const JournalRecord& result) const {
  const Json& values = result.details->values;
  const auto best = values.is_object() ? values.find("best") : values.end();
  return values.is_object() && best != values.end() ? objective_in(*best) : std::nullopt;
}

std::optional<double> SweepState::objective_in(const Json& metrics) const {
  if (!metrics.is_object()) {
    return std::nullopt;
  }
  const auto found = metrics.find(rules_.metric);
  if (found == metrics.end() || !found->is_number()) {
    return std::nullopt;  // "nan" and "inf" rank nothing
  }
  return found->get<double>();
}

}  // namespace regatta
