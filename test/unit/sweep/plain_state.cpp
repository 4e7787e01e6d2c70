#include "plain_state.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta::test {
namespace {

constexpr std::int64_t kMostTrials = 10000000;
constexpr std::int64_t kMostAttempts = 1000000;

std::optional<std::int64_t> integer_in(const Json& record, const char* name, std::int64_t low, std::int64_t high) {
  const auto found = record.find(name);
  if (found == record.end() || !found->is_number_integer()) {
    return std::nullopt;
  }
  const auto value = found->get<std::int64_t>();
  return value >= low && value <= high ? std::optional(value) : std::nullopt;
}

std::int64_t step_in(const Json& record, const char* name) {
  return integer_in(record, name, 0, std::int64_t{1} << 53).value_or(0);
}

std::string text_in(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

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

void PlainState::apply(std::span<const Json> records) {
  for (const Json& record : records) {
    apply_one(record);
  }
  for (const std::int64_t number : touched_) {
    folded_[number] = fold(number, records_.at(number));
  }
  touched_.clear();
}

void PlainState::apply_one(const Json& record) {
  const std::string type = record.is_object() ? text_in(record, "type") : std::string();
  const std::string shard = record.is_object() ? text_in(record, "shard") : std::string();
  if (type == "join") {
    try {
      owners_[shard] = owner_from_json(record, shard);
    } catch (const DataError&) {
      ++ignored_;  // written by another version; its shard is then judged by its growth alone
    }
  } else if (type == "extend") {
    const auto trials = integer_in(record, "trials", 1, kMostTrials);
    extended_ = std::max(extended_, trials.value_or(0));
    ignored_ += trials ? 0 : 1;
  } else if (type == "extension") {
    const auto extension = extension_from_json(record);
    ignored_ += extension ? 0 : 1;
    if (extension) {
      extensions_.try_emplace(extension->number, *extension);
      for (const auto& [number, trial] : records_) {
        touched_.insert(number);
      }
    }
  } else if (type == "leave") {
    left_.insert(shard);
    for (const auto& [number, trial] : records_) {
      touched_.insert(number);
    }
  } else if (type == "start" || type == "checkpoint" || type == "report" || type == "end" || type == "retry") {
    apply_to_trial(type, record);
  } else if (type != "heartbeat") {
    ++ignored_;
  }
}

void PlainState::apply_to_trial(const std::string& type, const Json& record) {
  const auto number = integer_in(record, "trial", 0, kMostTrials);
  const auto attempt_number = integer_in(record, "attempt", type == "retry" ? 0 : 1, kMostAttempts);
  const auto status = attempt_status_from(text_in(record, "status"));
  if (!number || !attempt_number || (type == "end" && !status)) {
    ++ignored_;
    return;
  }
  touched_.insert(*number);
  Trial& trial = records_[*number];
  const int attempt_key = static_cast<int>(*attempt_number);
  if (type == "retry") {
    trial.retried_up_to = std::max(trial.retried_up_to, attempt_key);
    return;
  }
  Attempt& attempt = trial.attempts[attempt_key][text_in(record, "shard")];
  const std::int64_t step = step_in(record, "step");
  if (type == "start" && !attempt.started) {
    attempt.started = true;
    attempt.seen = text_in(record, "seen");
    attempt.resume_step = step_in(record, "resume_step");
    attempt.rank = static_cast<int>(integer_in(record, "rank", -1, 1 << 30).value_or(-1));
    attempt.host = text_in(record, "host");
    attempt.recipe_hash = text_in(record, "recipe_hash");
    attempt.time = text_in(record, "time");
    attempt.length = integer_in(record, "length", 0, kMostTrials).value_or(0);
  } else if (type == "checkpoint") {
    attempt.checkpoint_step = std::max(attempt.checkpoint_step, step);
  } else if (type == "report") {
    const auto metrics = record.find("metrics");
    attempt.reports.push_back(
        {step, step_in(record, "epoch"), metrics == record.end() ? std::nullopt : objective_in(*metrics)});
  } else if (type == "end" && !attempt.end) {
    const auto result = record.find("result");
    attempt.end = End{*status, step, text_in(record, "message"), result == record.end() ? Json() : *result};
  }
}

std::optional<double> PlainState::objective_in(const Json& metrics) const {
  if (!metrics.is_object()) {
    return std::nullopt;
  }
  const auto found = metrics.find(rules_.metric);
  if (found == metrics.end() || !found->is_number()) {
    return std::nullopt;  // "nan" and "inf" rank nothing
  }
  return found->get<double>();
}

std::vector<Extension> PlainState::extensions() const {
  std::vector<Extension> known;
  for (const auto& [number, extension] : extensions_) {
    if (number != static_cast<std::int64_t>(known.size()) + 1) {
      break;
    }
    known.push_back(extension);
  }
  return known;
}

std::int64_t PlainState::total() const {
  std::int64_t total = std::max(rules_.trials, extended_);
  std::int64_t listed = 0;
  for (const Extension& extension : extensions()) {
    listed = extension.is_listed() ? extension.trials : listed;
    total = std::max(total, extension.trials);
  }
  return listed > 0 ? listed : total;
}

TrialState PlainState::trial(std::int64_t number) const {
  const auto found = folded_.find(number);
  if (found != folded_.end()) {
    return found->second;
  }
  TrialState waiting;
  waiting.number = number;
  return waiting;
}

std::vector<TrialState> PlainState::trials() const {
  std::vector<TrialState> all;
  for (std::int64_t number = 0; number < total(); ++number) {
    all.push_back(trial(number));
  }
  return all;
}

SweepCounts PlainState::counts() const {
  SweepCounts counts;
  counts.total = total();
  counts.waiting = counts.total;
  for (const auto& [number, state] : folded_) {
    if (number >= counts.total || state.phase == TrialPhase::kWaiting) {
      continue;
    }
    --counts.waiting;
    counts.running += state.phase == TrialPhase::kRunning ? 1 : 0;
    counts.paused += state.phase == TrialPhase::kPaused ? 1 : 0;
    if (state.phase == TrialPhase::kDone) {
      ++counts.done;
      ++counts.by_status[status_name(*state.status)];
    }
  }
  return counts;
}

bool PlainState::finished() const {
  const SweepCounts now = counts();
  return now.done == now.total;
}

std::optional<TrialState> PlainState::best() const {
  std::optional<TrialState> best;
  for (const auto& [number, state] : folded_) {
    if (state.status == TrialStatus::kOk && state.best && (!best || is_better(*state.best, *best->best))) {
      best = state;
    }
  }
  return best;
}

std::optional<NextTrial> PlainState::claimable(std::int64_t number, const IsStale& is_stale) const {
  if (number < 0 || number >= total()) {
    return std::nullopt;
  }
  const TrialState state = trial(number);
  if (state.phase == TrialPhase::kDone || (state.phase == TrialPhase::kRunning && !is_stale(state.shard))) {
    return std::nullopt;
  }
  NextTrial next;
  next.trial = number;
  next.attempt = state.attempts + 1;
  next.resume_step = state.checkpoint_step;
  if (state.attempts > 0) {
    next.seen = state.last_status ? status_name(*state.last_status) : status_name(AttemptStatus::kLost);
  }
  return next;
}

std::optional<NextTrial> PlainState::next_claimable(const std::set<std::int64_t>& exclude,
                                                    const IsStale& is_stale) const {
  for (const auto& [number, state] : folded_) {
    if (state.phase != TrialPhase::kWaiting && !exclude.contains(number)) {
      if (auto next = claimable(number, is_stale)) {
        return next;
      }
    }
  }
  for (std::int64_t number = 0; number < total(); ++number) {
    const auto found = folded_.find(number);
    const bool is_new = found == folded_.end() || found->second.phase == TrialPhase::kWaiting;
    if (is_new && !exclude.contains(number)) {
      return claimable(number, is_stale);
    }
  }
  return std::nullopt;
}

TrialState PlainState::fold(std::int64_t number, const Trial& trial) const {
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
    if (status == AttemptStatus::kOk && attempt->length < length_number(extensions())) {
      charges = {};  // done at a shorter length: it goes on
    } else if (status == AttemptStatus::kOk) {
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

PlainState::StartedAttempts PlainState::started_attempts(const Trial& trial) {
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
bool PlainState::end_counts(const StartedAttempts& attempts, std::size_t i) {
  return i + 1 == attempts.size() || attempts[i + 1].attempt->seen == status_name(attempts[i].attempt->end->status);
}

void PlainState::fold_newest(const StartedAttempts& attempts, TrialState& state) const {
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
void PlainState::fold_reports(const StartedAttempts& attempts, TrialState& state) const {
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

}  // namespace regatta::test
