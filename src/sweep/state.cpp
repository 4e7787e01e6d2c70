// Records taken in, the indexes that follow from them, and the questions that a coordinator asks at every event. What
// one trial's records mean is in replay.cpp; points at rungs, budgets and decisions are in state_standings.cpp.
#include "regatta/sweep/state.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "sweep/members.hpp"

namespace regatta {
namespace {

constexpr std::array<TrialStatus, 6> kStatuses = {TrialStatus::kOk,       TrialStatus::kPruned,
                                                  TrialStatus::kDiverged, TrialStatus::kInfeasible,
                                                  TrialStatus::kFailed,   TrialStatus::kQuarantined};
constexpr std::int64_t kWordBits = 64;

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

void SweepState::apply(std::span<const Json> records) {
  for (const Json& record : records) {
    apply_one(records_->add(record));
  }
}

void SweepState::apply(std::span<const RecordStore::Id> records) {
  for (const RecordStore::Id id : records) {
    apply_one(id);
  }
}

void SweepState::apply_one(RecordStore::Id id) {
  const JournalRecord& record = (*records_)[id];
  note_search_cut(record);
  note_decision(record);
  switch (record.type) {
    case RecordType::kJoin: joins_[record.shard] = id; break;
    case RecordType::kExtend: extend(record.trial); break;
    case RecordType::kExtension: apply_extension(record.details->values); break;
    case RecordType::kProposal: {
      Proposal proposal = *proposal_from_json(record.details->values);
      proposals_.try_emplace(proposal.setting, std::move(proposal.point));
      break;
    }
    case RecordType::kHistory:
      lent_.try_emplace(records_->shard_name(record.shard), *history_from_json(record.details->values));
      break;
    case RecordType::kLeave: leave(record.shard, record.details->values); break;
    case RecordType::kSubmit: apply_submit(record.details->values); break;
    case RecordType::kStop: apply_stop(record.details->values); break;
    case RecordType::kStart:
    case RecordType::kCheckpoint:
    case RecordType::kReport:
    case RecordType::kEnd:
    case RecordType::kRetry:
    case RecordType::kRung:
    case RecordType::kPrune: apply_to_trial(id, record); break;
    case RecordType::kPromote:
      standings_.promote(record.trial, static_cast<int>(record.epoch));
      if (const auto point = standings_.point_of(record.trial)) {
        settle_point(*point);
      }
      break;
    case RecordType::kBudget: apply_budget(record.details->values); break;
    case RecordType::kHeartbeat: break;
    case RecordType::kUnknown: ++ignored_; break;
  }
}

/// Only of records that a sampler's history follows from.
void SweepState::note_search_cut(const JournalRecord& record) {
  switch (record.type) {
    case RecordType::kExtension:
    case RecordType::kHistory:
    case RecordType::kStart:
    case RecordType::kCheckpoint:
    case RecordType::kReport:
    case RecordType::kEnd:
    case RecordType::kRetry:
    case RecordType::kRung:
    case RecordType::kPromote:
    case RecordType::kPrune:
    case RecordType::kLeave: break;
    default: return;
  }
  if (search_cut_.size() <= record.shard) {
    search_cut_.resize(record.shard + 1);
  }
  if (record.type != RecordType::kLeave || search_cut_[record.shard] > 0) {
    search_cut_[record.shard] = std::max(search_cut_[record.shard], record.seq);
  }
}

JournalCut SweepState::search_cut() const {
  JournalCut cut;
  for (std::uint32_t shard = 0; shard < search_cut_.size(); ++shard) {
    if (search_cut_[shard] > 0) {
      cut[records_->shard_name(shard)] = search_cut_[shard];
    }
  }
  return cut;
}

void SweepState::apply_submit(const Json& record) {
  for (const std::string& job : texts_in(record, "jobs")) {
    submitted_.insert(job_key(text_in(record, "cluster"), job));
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

void SweepState::apply_to_trial(RecordStore::Id id, const JournalRecord& record) {
  Trial& trial = trial_at(record.trial);
  if (before_.size() <= id) {
    before_.resize(std::size_t{id} + 1, kNoRecord);
  }
  before_[id] = std::exchange(trial.newest, id);
  const bool is_news = record.type == RecordType::kCheckpoint || record.type == RecordType::kReport;
  if (is_news && trial.phase == TrialPhase::kRunning && record.attempt == trial.attempts &&
      record.shard == trial.shard) {
    // Of the attempt that runs: nothing but its step can change.
    if (record.step > trial.step) {
      active_steps_ += record.trial < total() ? record.step - trial.step : 0;
      trial.step = record.step;
    }
    return;
  }
  settle(record.trial, trial);
}

void SweepState::settle(std::int64_t number, Trial& trial) {
  count(number, trial, -1);
  if (trial.phase == TrialPhase::kPaused) {
    paused_.erase(number);
  } else if (trial.phase == TrialPhase::kRunning) {
    running_.erase({trial.shard, number});
  }
  gather_attempts(history_of(trial), scratch_);
  const TrialOutcome outcome = outcome_of(scratch_, context(), standings_.level_of(number));
  trial.step = outcome.step;
  trial.attempts = outcome.attempts;
  trial.shard = scratch_.started.empty() ? 0 : scratch_.started.back().shard;
  trial.phase = outcome.phase;
  trial.status = outcome.status.value_or(TrialStatus::kOk);
  if (trial.phase == TrialPhase::kPaused) {
    paused_.insert(number);
  } else if (trial.phase == TrialPhase::kRunning) {
    running_.insert({trial.shard, number});
  }
  const auto word = static_cast<std::size_t>(number / kWordBits);
  if (begun_.size() <= word) {
    begun_.resize(word + 1);
  }
  const std::uint64_t bit = std::uint64_t{1} << (number % kWordBits);
  begun_[word] = trial.phase == TrialPhase::kWaiting ? begun_[word] & ~bit : begun_[word] | bit;
  if (trial.phase != TrialPhase::kWaiting) {
    enqueued_.erase(number);
  }
  count(number, trial, +1);
  note_best(number, trial, outcome);
  note_point(number);
}

void SweepState::count(std::int64_t number, const Trial& trial, int sign) {
  if (number >= total() || trial.phase == TrialPhase::kWaiting) {
    return;
  }
  by_phase_[static_cast<std::size_t>(trial.phase)] += sign;
  if (trial.phase == TrialPhase::kDone) {
    by_status_[static_cast<std::size_t>(trial.status)] += sign;
  } else {
    active_steps_ += sign * trial.step;
  }
}

void SweepState::extend(std::int64_t larger) {
  if (larger > extended_) {
    extended_ = larger;
    recount();
  }
}

void SweepState::apply_extension(const Json& record) {
  const std::optional<Extension> extension = extension_from_json(record);
  ahead_.try_emplace(extension->number, *extension);
  for (auto next = ahead_.find(static_cast<std::int64_t>(extensions_.size()) + 1); next != ahead_.end();
       next = ahead_.find(static_cast<std::int64_t>(extensions_.size()) + 1)) {
    extensions_.push_back(std::move(next->second));
    ahead_.erase(next);
    take_extension(extensions_.back());
  }
}

void SweepState::take_extension(const Extension& extension) {
  if (extension.is_listed() || listed_ > 0) {
    listed_ = extension.trials;
  } else {
    extended_ = std::max(extended_, extension.trials);
  }
  for (std::int64_t number = extension.first; extension.enqueued && number < extension.trials; ++number) {
    if (attempts(number) == 0) {
      enqueued_.insert(number);
    }
  }
  recount();
  if (extension.length) {  // trials that were done at the length before continue
    length_ = extension.number;
    best_known_ = false;
    std::vector<std::int64_t> done;
    for_each_trial([&done](std::int64_t number, const Trial& trial) {
      if (trial.phase == TrialPhase::kDone) {
        done.push_back(number);
      }
    });
    for (const std::int64_t number : done) {
      settle(number, trial_at(number));
    }
  }
}

/// After the total has changed.
void SweepState::recount() {
  by_phase_ = {};
  by_status_ = {};
  active_steps_ = 0;
  for_each_trial([this](std::int64_t number, const Trial& trial) { count(number, trial, +1); });
  if (!standings_.is_on()) {
    return;
  }
  standings_.place(total(), extensions_);
  ready_.clear();
  abandoned_.clear();
  std::vector<std::int64_t> known;
  for_each_trial([&known](std::int64_t number, const Trial&) { known.push_back(number); });
  for (const std::int64_t number : known) {
    settle(number, trial_at(number));
  }
}

void SweepState::leave(std::uint32_t shard, const Json& gained) {
  if (left_.size() <= shard) {
    left_.resize(shard + 1);
  }
  left_[shard] = !gained.is_boolean() ? Left::kUnknown : gained.get<bool>() ? Left::kGained : Left::kNotGained;
  std::vector<std::int64_t> interrupted;
  for (auto at = running_.lower_bound({shard, 0}); at != running_.end() && at->first == shard; ++at) {
    interrupted.push_back(at->second);
  }
  for (const std::int64_t number : interrupted) {
    settle(number, trial_at(number));
  }
}

void SweepState::note_best(std::int64_t number, const Trial& trial, const TrialOutcome& outcome) {
  if (best_ && best_->second == number) {
    best_known_ = false;
  }
  if (best_known_) {
    consider_best(number, trial, outcome.result);
  }
}

void SweepState::consider_best(std::int64_t number, const Trial& trial, const JournalRecord* result) const {
  if (trial.phase != TrialPhase::kDone || trial.status != TrialStatus::kOk) {
    return;
  }
  std::optional<double> value = result == nullptr ? std::nullopt : final_objective(*result, rules_);
  if (!value) {
    value = replay_trial(number, history_of(trial), context(), standings_.level_of(number)).best;
  }
  if (value &&
      (!best_ || rules_.is_better(*value, best_->first) || (*value == best_->first && number < best_->second))) {
    best_ = {*value, number};
  }
}

SweepState::Trial& SweepState::trial_at(std::int64_t number) {
  const auto block = static_cast<std::size_t>(number / kBlock);
  if (blocks_.size() <= block) {
    blocks_.resize(block + 1);
  }
  if (!blocks_[block]) {
    blocks_[block] = std::make_unique<Block>();
  }
  return (*blocks_[block])[static_cast<std::size_t>(number % kBlock)];
}

/// Null for a trial without a record.
const SweepState::Trial* SweepState::find(std::int64_t number) const {
  const auto block = static_cast<std::size_t>(number / kBlock);
  if (number < 0 || block >= blocks_.size() || !blocks_[block]) {
    return nullptr;
  }
  const Trial& trial = (*blocks_[block])[static_cast<std::size_t>(number % kBlock)];
  return trial.newest == kNoRecord ? nullptr : &trial;
}

void SweepState::for_each_trial(const std::function<void(std::int64_t, const Trial&)>& look) const {
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    for (std::int64_t i = 0; blocks_[block] && i < kBlock; ++i) {
      const Trial& trial = (*blocks_[block])[static_cast<std::size_t>(i)];
      if (trial.newest != kNoRecord) {
        look(static_cast<std::int64_t>(block) * kBlock + i, trial);
      }
    }
  }
}

std::int64_t SweepState::total() const {
  return listed_ > 0 ? listed_ : std::max(rules_.trials, extended_);
}

TrialState SweepState::trial(std::int64_t number) const {
  if (const Trial* trial = find(number)) {
    return replay_trial(number, history_of(*trial), context(), standings_.level_of(number));
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

int SweepState::attempts(std::int64_t number) const {
  const Trial* trial = find(number);
  return trial == nullptr ? 0 : trial->attempts;
}

std::optional<std::int64_t> SweepState::active_step(std::int64_t number) const {
  const Trial* trial = find(number);
  const bool is_active = trial != nullptr && trial->phase != TrialPhase::kWaiting && trial->phase != TrialPhase::kDone;
  return is_active ? std::optional(trial->step) : std::nullopt;
}

std::int64_t SweepState::first_not_done() const {
  for (std::int64_t number = 0; number < total(); ++number) {
    const Trial* trial = find(number);
    if (trial == nullptr || trial->phase != TrialPhase::kDone) {
      return number;
    }
  }
  return total();
}

SweepCounts SweepState::counts() const {
  SweepCounts counts;
  counts.total = total();
  counts.running = by_phase_[static_cast<std::size_t>(TrialPhase::kRunning)];
  counts.paused = by_phase_[static_cast<std::size_t>(TrialPhase::kPaused)];
  counts.done = by_phase_[static_cast<std::size_t>(TrialPhase::kDone)];
  counts.held = by_phase_[static_cast<std::size_t>(TrialPhase::kHeld)];
  counts.waiting = counts.total - counts.running - counts.paused - counts.held - counts.done;
  for (const TrialStatus status : kStatuses) {
    if (const std::int64_t count = by_status_[static_cast<std::size_t>(status)]; count > 0) {
      counts.by_status[status_name(status)] = count;
    }
  }
  return counts;
}

bool SweepState::finished() const {
  return by_phase_[static_cast<std::size_t>(TrialPhase::kDone)] == total();
}

std::optional<TrialState> SweepState::best() const {
  if (!best_known_) {
    best_.reset();
    for_each_trial([this](std::int64_t number, const Trial& trial) { consider_best(number, trial, nullptr); });
    best_known_ = true;
  }
  return best_ ? std::optional(trial(best_->second)) : std::nullopt;
}

std::map<std::string, Owner> SweepState::owners() const {
  std::map<std::string, Owner> owners;
  for (const auto& [shard, id] : joins_) {
    owners.emplace(records_->shard_name(shard), (*records_)[id].details->owner);
  }
  return owners;
}

const Owner* SweepState::owner(const std::string& shard) const {
  const auto number = records_->find_shard(shard);
  const auto found = number ? joins_.find(*number) : joins_.end();
  return found == joins_.end() ? nullptr : &(*records_)[found->second].details->owner;
}

bool SweepState::has_left(const std::string& shard) const {
  const auto number = records_->find_shard(shard);
  return number && has_left(*number);
}

std::optional<bool> SweepState::gained(const std::string& shard) const {
  const auto number = records_->find_shard(shard);
  const Left left = number && *number < left_.size() ? left_[*number] : Left::kNot;
  return left == Left::kNot || left == Left::kUnknown ? std::nullopt : std::optional(left == Left::kGained);
}

std::set<std::string> SweepState::slurm_jobs() const {
  std::set<std::string> jobs = submitted_;
  for (const auto& [shard, id] : joins_) {
    const JobPlace& place = (*records_)[id].details->owner.place;
    if (place.slurm) {
      jobs.insert(job_key(place.cluster, place.array.empty() ? place.job : place.array));
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

NextTrial SweepState::attempt_after(std::int64_t number, const Trial* trial) const {
  NextTrial next;
  next.trial = number;
  if (trial != nullptr) {
    AttemptList attempts;
    gather_attempts(history_of(*trial), attempts);
    const TrialOutcome outcome = outcome_of(attempts, context(), standings_.level_of(number));
    next.attempt = trial->attempts + 1;
    next.resume_step = outcome.checkpoint_step;
    if (trial->attempts > 0) {
      next.seen = status_name(outcome.last_status.value_or(AttemptStatus::kLost));
    }
  }
  return next;
}

std::optional<NextTrial> SweepState::claimable(std::int64_t number, const IsStale& is_stale, bool promoted) const {
  if (number < 0 || number >= total()) {
    return std::nullopt;
  }
  const Trial* trial = find(number);
  if (trial != nullptr) {
    const bool is_taken = trial->phase == TrialPhase::kRunning && !is_stale(records_->shard_name(trial->shard));
    const bool is_pruned = trial->phase == TrialPhase::kDone && trial->status == TrialStatus::kPruned;
    const bool is_over = trial->phase == TrialPhase::kDone && !(promoted && is_pruned);
    if (is_taken || is_over || (trial->phase == TrialPhase::kHeld && !promoted)) {
      return std::nullopt;
    }
  }
  return attempt_after(number, trial);
}

std::vector<std::uint32_t> SweepState::gone_shards(const std::function<bool(std::uint32_t)>& is_gone) const {
  std::vector<std::uint32_t> gone;
  for (auto at = running_.begin(); at != running_.end(); at = running_.lower_bound({at->first + 1, 0})) {
    if (is_gone(at->first)) {
      gone.push_back(at->first);
    }
  }
  return gone;
}

std::optional<std::int64_t> SweepState::next_interrupted(const std::set<std::int64_t>& exclude,
                                                         const std::vector<std::uint32_t>& gone,
                                                         std::int64_t from) const {
  std::optional<std::int64_t> first;
  const auto consider = [&](std::int64_t number) {
    if (number < total() && !exclude.contains(number)) {
      first = std::min(first.value_or(number), number);
      return true;
    }
    return false;
  };
  for (auto at = paused_.lower_bound(from); at != paused_.end() && !consider(*at); ++at) {
  }
  for (const std::uint32_t shard : gone) {
    for (auto at = running_.lower_bound({shard, from}); at != running_.end() && at->first == shard; ++at) {
      if (consider(at->second)) {
        break;
      }
    }
  }
  return first;
}

std::optional<std::int64_t> SweepState::next_new(const std::set<std::int64_t>& exclude, std::int64_t from) const {
  for (const std::int64_t number : enqueued_) {
    if (!exclude.contains(number)) {
      return number;
    }
  }
  const std::int64_t all = total();
  for (std::int64_t number = from; number < all;) {
    const auto word = static_cast<std::size_t>(number / kWordBits);
    const std::uint64_t begun = word < begun_.size() ? begun_[word] : 0;
    const std::uint64_t open = ~begun >> (number % kWordBits);
    if (open == 0) {
      number = (number / kWordBits + 1) * kWordBits;
      continue;
    }
    number += std::countr_zero(open);
    if (number < all && !exclude.contains(number) && !standings_.is_follower(number)) {
      return number;
    }
    ++number;
  }
  return std::nullopt;
}

}  // namespace regatta
