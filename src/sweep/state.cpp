// Takes journal records in and answers questions about the sweep. How a trial's records become its state: fold.cpp.
#include "regatta/sweep/state.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"

namespace regatta {
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

/// The strings of a list; other members are passed over.
std::vector<std::string> texts_in(const Json& record, const char* name) {
  std::vector<std::string> texts;
  const auto found = record.find(name);
  if (found != record.end() && found->is_array()) {
    for (const Json& item : *found) {
      if (item.is_string()) {
        texts.push_back(item.get<std::string>());
      }
    }
  }
  return texts;
}

std::string job_key(const std::string& cluster, const std::string& job) {
  return str(cluster, "/", job);
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

void SweepState::apply(std::span<const Json> records) {
  for (const Json& record : records) {
    apply_one(record);
  }
  for (const std::int64_t number : touched_) {
    folded_[number] = fold(number, records_.at(number));
  }
  touched_.clear();
}

void SweepState::apply_one(const Json& record) {
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
  } else if (type == "leave") {
    const auto gained = record.find("gained");
    left_[shard] =
        gained != record.end() && gained->is_boolean() ? std::optional<bool>(gained->get<bool>()) : std::nullopt;
    for (const auto& [number, trial] : records_) {
      touched_.insert(number);
    }
  } else if (type == "start" || type == "checkpoint" || type == "report" || type == "end" || type == "retry") {
    apply_to_trial(type, record);
  } else if (type == "submit") {
    for (const std::string& job : texts_in(record, "jobs")) {
      submitted_.insert(job_key(text_in(record, "cluster"), job));
    }
  } else if (type == "stop") {
    apply_stop(record);
  } else if (type != "heartbeat") {
    ++ignored_;
  }
}

void SweepState::apply_stop(const Json& record) {
  const auto drain = record.find("drain");
  const bool drains = drain != record.end() && drain->is_boolean() && drain->get<bool>();
  const StopRequest request = drains ? StopRequest::kDrain : StopRequest::kSave;
  for (const char* list : {"shards", "jobs"}) {
    for (const std::string& name : texts_in(record, list)) {
      StopRequest& known = stops_[name];
      known = std::max(known, request);
    }
  }
}

void SweepState::apply_to_trial(const std::string& type, const Json& record) {
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

std::optional<bool> SweepState::gained(const std::string& shard) const {
  const auto found = left_.find(shard);
  return found == left_.end() ? std::nullopt : found->second;
}

std::set<std::string> SweepState::slurm_jobs() const {
  std::set<std::string> jobs = submitted_;
  for (const auto& [shard, owner] : owners_) {
    if (owner.place.slurm) {
      jobs.insert(job_key(owner.place.cluster, owner.place.array.empty() ? owner.place.job : owner.place.array));
    }
  }
  return jobs;
}

StopRequest SweepState::stop_request(const Owner& owner) const {
  StopRequest request = StopRequest::kNone;
  std::vector<std::string> names = {owner.shard};
  if (owner.place.slurm) {
    names.push_back(job_key(owner.place.cluster, owner.place.job));
    names.push_back(job_key(owner.place.cluster, owner.place.array));
  }
  for (const std::string& name : names) {
    const auto found = stops_.find(name);
    request = found == stops_.end() ? request : std::max(request, found->second);
  }
  return request;
}

std::int64_t SweepState::total() const {
  return std::max(rules_.trials, extended_);
}

TrialState SweepState::trial(std::int64_t number) const {
  const auto found = folded_.find(number);
  if (found != folded_.end()) {
    return found->second;
  }
  TrialState waiting;
  waiting.number = number;
  return waiting;
}

std::vector<TrialState> SweepState::trials() const {
  std::vector<TrialState> all;
  for (std::int64_t number = 0; number < total(); ++number) {
    all.push_back(trial(number));
  }
  return all;
}

SweepCounts SweepState::counts() const {
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

bool SweepState::finished() const {
  const SweepCounts now = counts();
  return now.done == now.total;
}

std::optional<TrialState> SweepState::best() const {
  std::optional<TrialState> best;
  for (const auto& [number, state] : folded_) {
    if (state.status == TrialStatus::kOk && state.best && (!best || is_better(*state.best, *best->best))) {
      best = state;
    }
  }
  return best;
}

std::optional<NextTrial> SweepState::claimable(std::int64_t number, const IsStale& is_stale) const {
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

std::optional<NextTrial> SweepState::next_claimable(const std::set<std::int64_t>& exclude,
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

}  // namespace regatta
