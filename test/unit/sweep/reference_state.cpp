#include "reference_state.hpp"

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"

namespace regatta::test {
namespace {

std::string text(const Json& record, const char* name) {
  return record.is_object() && record.contains(name) && record.at(name).is_string() ? record.at(name).get<std::string>()
                                                                                    : std::string();
}

std::int64_t number(const Json& record, const char* name, std::int64_t otherwise) {
  return record.contains(name) && record.at(name).is_number_integer() ? record.at(name).get<std::int64_t>() : otherwise;
}

/// Of a metric that is a finite number.
std::optional<double> metric(const Json& values, const std::string& name) {
  return values.is_object() && values.contains(name) && values.at(name).is_number()
             ? std::optional(values.at(name).get<double>())
             : std::nullopt;
}

}  // namespace

void ReferenceState::apply(std::span<const Json> records) {
  for (const Json& record : records) {
    const std::string type = text(record, "type");
    if (!is_understood(record)) {
      ++ignored_;
    } else if (type == "extend" || type == "extension") {
      totals_.push_back(record);
    } else if (type == "leave") {
      left_.insert(text(record, "shard"));
    } else if (type == "promote") {
      promotions_.push_back(record);
    } else if (record.contains("trial")) {
      of_trial_[record.at("trial").get<std::int64_t>()].push_back(record);
    }
  }
}

bool ReferenceState::is_understood(const Json& record) const {
  const std::string type = text(record, "type");
  if (type == "join") {
    try {
      owner_from_json(record, "s");
      return true;
    } catch (const DataError&) {
      return false;
    }
  }
  if (type == "heartbeat" || type == "leave" || type == "submit" || type == "stop" || type == "budget") {
    return true;
  }
  if (type == "extend") {
    return number(record, "trials", 0) > 0;
  }
  if (type == "extension") {
    return number(record, "extension", 0) > 0 && number(record, "trials", 0) > 0 && number(record, "first", -1) >= 0;
  }
  const std::set<std::string> ends = {"ok",     "paused", "timeout", "preempted", "diverged", "bad_input",
                                      "failed", "signal", "oom",     "device",    "hang",     "lost"};
  const bool has_place = number(record, "trial", -1) >= 0 && number(record, "attempt", -1) >= (type == "retry" ? 0 : 1);
  const std::set<std::string> of_trials = {"start", "checkpoint", "report", "retry"};
  if (type == "rung" || type == "promote" || type == "prune") {
    return has_place && number(record, "rung", -1) >= 0;
  }
  return has_place && (of_trials.contains(type) || (type == "end" && ends.contains(text(record, "status"))));
}

/// As many rungs as the trial's point was promoted from: the point's trials have one index in the space.
std::int64_t ReferenceState::level_of(std::int64_t trial) const {
  std::int64_t level = 0;
  for (const Json& record : promotions_) {
    if (record.at("trial").get<std::int64_t>() / rules_.replicates == trial / rules_.replicates) {
      level = std::max(level, record.at("rung").get<std::int64_t>() + 1);
    }
  }
  return level;
}

/// What the earliest attempt recorded there.
std::optional<Json> ReferenceState::rung_of(std::int64_t trial, std::int64_t rung) const {
  std::optional<Json> first;
  const auto found = of_trial_.find(trial);
  for (const Json& record : found == of_trial_.end() ? std::vector<Json>() : found->second) {
    if (text(record, "type") != "rung" || record.at("rung") != rung) {
      continue;
    }
    const auto place = [](const Json& each) {
      return std::tuple(each.at("attempt").get<int>(), text(each, "shard"), number(each, "seq", 0));
    };
    first = !first || place(record) < place(*first) ? record : *first;
  }
  return first;
}

std::int64_t ReferenceState::pruned_attempt(std::int64_t trial) const {
  std::int64_t newest = 0;
  const auto found = of_trial_.find(trial);
  for (const Json& record : found == of_trial_.end() ? std::vector<Json>() : found->second) {
    newest = text(record, "type") == "prune" ? std::max(newest, record.at("attempt").get<std::int64_t>()) : newest;
  }
  return newest;
}

/// A prune counts until the trial's point is promoted from that rung after all, or somebody begins the trial again.
std::optional<Json> ReferenceState::prune_in_force(std::int64_t trial, const std::map<int, Attempt>& attempts) const {
  const std::int64_t started = attempts.empty() ? 0 : attempts.rbegin()->first;
  const auto found = of_trial_.find(trial);
  for (const Json& record : found == of_trial_.end() ? std::vector<Json>() : found->second) {
    if (text(record, "type") == "prune" && record.at("attempt").get<std::int64_t>() > started &&
        record.at("attempt") == pruned_attempt(trial) && record.at("rung").get<std::int64_t>() >= level_of(trial)) {
      return record;
    }
  }
  return std::nullopt;
}

/// Those of which no earlier one is missing.
std::map<std::int64_t, Json> ReferenceState::extensions() const {
  std::map<std::int64_t, Json> all;
  for (const Json& record : totals_) {
    if (text(record, "type") == "extension") {
      all.emplace(record.at("extension").get<std::int64_t>(), record);
    }
  }
  for (std::int64_t next = 1; !all.empty(); ++next) {
    if (!all.contains(next)) {
      all.erase(all.lower_bound(next), all.end());
      break;
    }
  }
  return all;
}

/// From the first extension that lists trials on the newest one says the total; before, the largest number that anybody
/// named.
std::int64_t ReferenceState::total() const {
  std::int64_t largest = rules_.trials;
  for (const Json& record : totals_) {
    largest = text(record, "type") == "extend" ? std::max(largest, record.at("trials").get<std::int64_t>()) : largest;
  }
  std::optional<std::int64_t> listed;
  for (const auto& [index, record] : extensions()) {
    largest = std::max(largest, record.at("trials").get<std::int64_t>());
    if (listed || (record.contains("added") && !record.at("added").empty())) {
      listed = record.at("trials").get<std::int64_t>();
    }
  }
  return listed.value_or(largest);
}

/// Attempts with a start. Two shards that both started one (claims forbid it): the first by name.
std::map<int, ReferenceState::Attempt> ReferenceState::attempts_of(std::int64_t trial) const {
  std::map<int, Attempt> attempts;
  const auto found = of_trial_.find(trial);
  if (found == of_trial_.end()) {
    return attempts;
  }
  for (const Json& record : found->second) {
    if (text(record, "type") == "start") {
      const auto attempt = record.at("attempt").get<int>();
      Json& start = attempts[attempt].start;
      if (start.is_null() || text(record, "shard") < text(start, "shard")) {
        start = record;
      }
    }
  }
  for (const Json& record : found->second) {
    const auto of = attempts.find(record.at("attempt").get<int>());
    if (of == attempts.end() || text(of->second.start, "shard") != text(record, "shard")) {
      continue;
    }
    const std::string type = text(record, "type");
    if (type == "end" && of->second.end.is_null()) {
      of->second.end = record;
    } else if (type == "report") {
      of->second.reports.push_back(record);
    } else if (type == "checkpoint") {
      of->second.checkpoint = std::max(of->second.checkpoint, number(record, "step", 0));
    }
  }
  return attempts;
}

/// How an attempt ended, "" if it did not, or if whoever began the next one had not heard of it.
std::string ReferenceState::heard_end(const std::map<int, Attempt>& attempts, int attempt) const {
  const auto of = attempts.find(attempt);
  const std::string status = text(of->second.end, "status");
  const auto next = std::next(of);
  return next == attempts.end() || text(next->second.start, "seen") == status ? status : std::string();
}

/// The table of docs/sweeps.md, "When a trial is done".
void ReferenceState::judge(const std::map<int, Attempt>& attempts, TrialState& state) const {
  std::int64_t forgiven = 0;  // failures up to this attempt are forgotten
  if (const auto found = of_trial_.find(state.number); found != of_trial_.end()) {
    for (const Json& record : found->second) {
      forgiven = text(record, "type") == "retry" ? std::max(forgiven, number(record, "attempt", 0)) : forgiven;
    }
  }
  std::int64_t length = 0;
  for (const auto& [index, record] : extensions()) {
    length = record.contains("length") ? index : length;
  }
  std::vector<std::string> charged;
  for (const auto& [attempt, facts] : attempts) {
    const std::string end = heard_end(attempts, attempt);
    if (end.empty() || attempt <= forgiven) {
      continue;
    }
    if (end == "ok") {
      if (number(facts.start, "length", 0) < length) {
        charged.clear();
      } else {
        state.status = TrialStatus::kOk;
        state.result = facts.end.contains("result") ? facts.end.at("result") : Json();
      }
    } else if (end == "diverged") {
      state.status = TrialStatus::kDiverged;
    } else if (end != "paused" && end != "timeout" && end != "preempted" && end != "lost") {
      const bool has_gained = facts.checkpoint > number(facts.start, "resume_step", 0);
      if (!has_gained) {
        charged.push_back(end);
      }
    }
  }
  state.charged = static_cast<int>(charged.size());
  if (!state.status) {
    if (std::count(charged.begin(), charged.end(), "oom") > 1) {
      state.status = TrialStatus::kInfeasible;
    } else if (std::count(charged.begin(), charged.end(), "bad_input") > 1) {
      state.status = TrialStatus::kFailed;
    } else if (state.charged >= rules_.max_attempts) {
      state.status = TrialStatus::kQuarantined;
    }
  }
  if (!state.status && prune_in_force(state.number, attempts)) {
    state.status = TrialStatus::kPruned;
    state.phase = TrialPhase::kDone;
  }
  state.recalls = pruned_attempt(state.number) > 0 && state.status != TrialStatus::kPruned ? 1 : 0;
  for (std::int64_t rung = 0; rung_of(state.number, rung); ++rung) {
    state.rungs.push_back(metric(*rung_of(state.number, rung), "value"));
  }
}

void ReferenceState::describe_newest(const std::map<int, Attempt>& attempts, TrialState& state) const {
  if (attempts.empty()) {
    return;
  }
  const auto& [attempt, facts] = *attempts.rbegin();
  state.attempts = attempt;
  state.shard = text(facts.start, "shard");
  state.host = text(facts.start, "host");
  state.rank = static_cast<int>(number(facts.start, "rank", -1));
  state.recipe_hash = text(facts.start, "recipe_hash");
  state.started_utc = text(facts.start, "time");
  std::vector<std::int64_t> steps = {number(facts.start, "resume_step", 0), facts.checkpoint};
  for (const Json& report : facts.reports) {
    steps.push_back(number(report, "step", 0));
  }
  if (!facts.end.is_null()) {
    steps.push_back(number(facts.end, "step", 0));
  }
  state.step = *std::max_element(steps.begin(), steps.end());
  for (const auto& [each, of] : attempts) {
    if (each > pruned_attempt(state.number)) {  // a prune deletes what there was
      state.checkpoint_step = std::max(state.checkpoint_step, of.checkpoint);
    }
    const std::string end = heard_end(attempts, each);
    state.last_status = attempt_status_from(end);
    const std::string message = end.empty() ? std::string() : text(of.end, "message");
    state.message = message.empty() ? state.message : message;
  }
  const bool nobody_is_at_it = !facts.end.is_null() || left_.contains(state.shard);
  const std::int64_t level = level_of(state.number);
  const auto rung = level < rules_.rungs ? rung_of(state.number, level) : std::nullopt;
  const bool waits = rung && static_cast<std::int64_t>(state.rungs.size()) > level &&
                     state.checkpoint_step >= number(*rung, "step", 0);
  state.phase = state.status       ? TrialPhase::kDone
                : !nobody_is_at_it ? TrialPhase::kRunning
                : waits            ? TrialPhase::kHeld
                                   : TrialPhase::kPaused;
}

/// A report counts unless a later attempt went back to an earlier step and trained that part again.
void ReferenceState::find_best(const std::map<int, Attempt>& attempts, TrialState& state) const {
  std::map<std::int64_t, std::set<double>> by_step;
  for (auto at = attempts.begin(); at != attempts.end(); ++at) {
    for (const Json& report : at->second.reports) {
      const std::int64_t step = number(report, "step", 0);
      const bool done_again = std::any_of(std::next(at), attempts.end(), [step](const auto& later) {
        return number(later.second.start, "resume_step", 0) < step;
      });
      if (done_again) {
        continue;
      }
      state.epoch = std::max(state.epoch, number(report, "epoch", 0));
      if (const auto value = metric(report.value("metrics", Json()), rules_.metric)) {
        by_step[step].insert(*value);
      }
    }
  }
  for (const auto& [step, values] : by_step) {  // ascending: of equal values the earliest stays
    const double value = rules_.maximise ? *values.rbegin() : *values.begin();
    if (!state.best || (rules_.maximise ? value > *state.best : value < *state.best)) {
      state.best = value;
      state.best_step = step;
    }
  }
  if (state.result.is_object() && state.result.contains("best")) {
    if (const auto value = metric(state.result.at("best"), rules_.metric)) {
      state.best = value;
      state.best_step = number(state.result, "best_step", state.best_step);
    }
  }
}

TrialState ReferenceState::trial(std::int64_t trial) const {
  TrialState state;
  state.number = trial;
  const auto attempts = attempts_of(trial);
  judge(attempts, state);
  describe_newest(attempts, state);
  find_best(attempts, state);
  return state;
}

std::vector<TrialState> ReferenceState::trials() const {
  std::vector<TrialState> all;
  const std::int64_t count = total();
  for (std::int64_t number = 0; number < count; ++number) {
    all.push_back(trial(number));
  }
  return all;
}

SweepCounts ReferenceState::counts() const {
  SweepCounts counts;
  for (const TrialState& state : trials()) {
    ++counts.total;
    counts.waiting += state.phase == TrialPhase::kWaiting ? 1 : 0;
    counts.running += state.phase == TrialPhase::kRunning ? 1 : 0;
    counts.paused += state.phase == TrialPhase::kPaused ? 1 : 0;
    counts.held += state.phase == TrialPhase::kHeld ? 1 : 0;
    if (state.phase == TrialPhase::kDone) {
      ++counts.done;
      ++counts.by_status[status_name(*state.status)];
    }
  }
  return counts;
}

bool ReferenceState::finished() const {
  const auto all = trials();
  return std::all_of(all.begin(), all.end(), [](const TrialState& state) { return state.status.has_value(); });
}

/// Also among trials beyond the total, which an extension that lists fewer may have left there.
std::optional<TrialState> ReferenceState::best() const {
  std::optional<TrialState> best;
  for (const auto& [number, records] : of_trial_) {
    const TrialState state = trial(number);
    const bool is_better = state.status == TrialStatus::kOk && state.best &&
                           (!best || (rules_.maximise ? *state.best > *best->best : *state.best < *best->best));
    best = is_better ? std::optional(state) : best;
  }
  return best;
}

/// Interrupted ones first, then new ones, both by number.
std::optional<NextTrial> ReferenceState::next_claimable(const std::set<std::int64_t>& exclude,
                                                        const IsStale& is_stale) const {
  const auto all = trials();
  for (const TrialPhase wanted : {TrialPhase::kPaused, TrialPhase::kWaiting}) {
    for (const TrialState& state : all) {
      const bool is_orphan = state.phase == TrialPhase::kRunning && is_stale(state.shard);
      if (exclude.contains(state.number) || (is_orphan ? TrialPhase::kPaused : state.phase) != wanted) {
        continue;
      }
      std::string seen;
      if (state.attempts > 0) {
        seen = state.last_status ? status_name(*state.last_status) : "lost";
      }
      return NextTrial{state.number, state.attempts + 1, seen, state.checkpoint_step};
    }
  }
  return std::nullopt;
}

}  // namespace regatta::test
