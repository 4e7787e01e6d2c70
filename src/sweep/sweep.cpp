// Journal, state and claims of a sweep, used together.
#include "regatta/sweep/sweep.hpp"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/process.hpp"
#include "regatta/base/text.hpp"
#include "regatta/sweep/work_queue.hpp"

namespace regatta {
namespace {

constexpr int kMostRefused = 100;  ///< then the rest is taken to be like them

}  // namespace

Sweep::Sweep(SweepFiles files, SweepRules rules, JobPlace self, JobProbe& probe, const Clock& clock, StaleRule stale)
    : Sweep(files, std::make_shared<DirectoryStorage>(files), std::make_shared<DecodedJournal>(), std::move(rules),
            std::move(self), probe, clock, stale) {}

Sweep::Sweep(SweepFiles files, std::shared_ptr<SweepStorage> storage, std::shared_ptr<DecodedJournal> journal,
             SweepRules rules, JobPlace self, JobProbe& probe, const Clock& clock, StaleRule stale)
    : files_(std::move(files)),
      self_(std::move(self)),
      stale_(stale),
      storage_(storage),
      clock_(clock),
      journal_(std::move(storage), std::move(journal), clock),
      state_(std::move(rules), journal_.records()),
      watch_(self_, probe, clock, stale) {
  refresh();
}

void Sweep::refresh() {
  journal_.poll(fresh_);
  take_in();
  looked_s_ = clock_.monotonic_s();
  gone_.reset();
  ++costs_.looks;
  costs_.shards += static_cast<std::int64_t>(journal_.open_shards());
}

void Sweep::look() {
  if (clock_.monotonic_s() - looked_s_ >= std::max(kLookEvery_s, look_pause_s())) {
    refresh();
  }
}

void Sweep::refresh_shard(const std::string& shard) {
  journal_.poll_shard(shard, fresh_);
  take_in();
}

void Sweep::take_in() {
  state_.apply(std::span<const RecordStore::Id>(fresh_));
  fresh_.clear();
}

bool Sweep::is_stale(const std::string& shard) {
  if (const Owner* owner = state_.owner(shard)) {
    return is_gone(*owner);
  }
  Owner unknown;  // its "join" could not be read: only silence can tell
  unknown.shard = shard;
  return is_gone(unknown);
}

bool Sweep::is_gone(const Owner& owner) {
  if (state_.has_left(owner.shard)) {
    return true;
  }
  const auto shard = journal_.records()->find_shard(owner.shard);
  if (const auto quiet_s = shard ? journal_.quiet_s(*shard) : std::nullopt) {
    return watch_.is_stale(owner, *quiet_s);
  }
  const double now_s = clock_.monotonic_s();
  return watch_.is_stale(owner, now_s - unseen_.try_emplace(owner.shard, now_s).first->second);
}

/// Asked of every shard at every look: the full rule only where it can say yes.
bool Sweep::is_gone(std::uint32_t shard) {
  if (is_far(shard) && journal_.quiet_s(shard).value_or(stale_.after_s) < stale_.after_s) {
    return state_.has_left(shard);
  }
  return is_stale(state_.shard_name(shard));
}

/// On another host, and not an earlier run of this job.
bool Sweep::is_far(std::uint32_t shard) {
  if (far_.size() <= shard) {
    far_.resize(shard + 1, -1);
  }
  if (far_[shard] < 0) {
    const Owner* owner = state_.owner(state_.shard_name(shard));
    if (owner == nullptr) {
      return true;
    }
    const bool same_job = owner->place.cluster == self_.cluster && owner->place.job == self_.job;
    far_[shard] = !same_job && owner->process.host != host_name() ? 1 : 0;
  }
  return far_[shard] == 1;
}

/// As of the last refresh.
const std::vector<std::uint32_t>& Sweep::gone_shards() {
  if (!gone_) {
    gone_ = state_.gone_shards([this](std::uint32_t shard) { return is_gone(shard); });
  }
  return *gone_;
}

void Sweep::decide_settings(const JobOptions& born) {
  TrialList trials(born, state_.extensions(), state_.proposals());
  if (trials.space().reads_history()) {
    search_.emplace(std::move(trials));
  }
}

/// Decides on the first setting that is open, by what the journal says now, and records it.
/// @return false if another process has just done so and its record is not to be seen yet
bool Sweep::decide_next_setting() {
  const std::int64_t setting = search_->first_open_setting();
  const History history = search_history(state_, *search_);
  const Proposal proposal{setting, search_->space().setting_from(setting, history), history.ended(),
                          state_.search_cut()};
  const std::string shard = proposal_shard(setting);
  storage_->write_whole_shard(shard, whole_shard_text(shard, "proposal", to_json(proposal), clock_.utc_text()));
  refresh();
  return search_->first_open_setting() > setting;
}

std::optional<NextTrial> Sweep::claim_next(const Owner& owner, const std::function<bool(const NextTrial&)>& accept) {
  refresh_shard(owner.shard);
  look();
  drop_old_taken();
  std::set<std::int64_t> exclude = excluded_;
  int refused = 0;
  while (auto next = next_in_line(state_, exclude, gone_shards(), search_ ? 0 : from_)) {
    if (search_ && search_->trial(next->trial).open) {
      if (!decide_next_setting()) {
        return std::nullopt;
      }
      continue;
    }
    exclude.insert(next->trial);
    if (accept && !accept(*next)) {
      // No settings are decided on only to be refused.
      if (++refused == kMostRefused || search_ || state_.standings().is_on()) {
        return std::nullopt;
      }
      continue;
    }
    const RecordCut cut = state_.cut();
    const Json decision = next->promotion ? promote_fields(*next, 0) : Json();
    if (next->promotion) {
      next->promotion->cut = state_.cut_since(cut_);
    }
    if (auto claimed = claim(*next, owner, decision)) {
      ++costs_.claims;
      cut_ = claimed->promotion ? cut : cut_;
      note_taken(claimed->trial, claimed->attempt, owner.shard, std::numeric_limits<double>::infinity());
      return claimed;
    }
  }
  return std::nullopt;
}

/// Takes the first attempt number from `next.attempt` on that is free; passes over claims whose owners are gone (they
/// claimed, but never journalled a start).
std::optional<NextTrial> Sweep::claim(const NextTrial& next, const Owner& owner, const Json& decision) {
  const double again_s = clock_.monotonic_s() + kClaimAgain_s;
  for (int attempt = next.attempt;; ++attempt) {
    const bool is_ours =
        unused_.erase({next.trial, attempt}) > 0 || storage_->try_claim(next.trial, attempt, owner, decision);
    if (!is_ours) {
      const auto holder = storage_->read_claim(next.trial, attempt);
      if (holder && is_gone(*holder)) {
        continue;
      }
      ++costs_.claims_lost;
      note_taken(next.trial, attempt, holder ? holder->shard : std::string(), again_s);
      const std::string place = str(owner.shard, " ", ++races_);
      from_ = static_cast<std::int64_t>(xxh3(place.data(), place.size()) % static_cast<std::uint64_t>(state_.total()));
      return std::nullopt;
    }
    if (attempt == 1) {
      return next;  // nobody can have begun it: that takes this claim
    }
    refresh();
    auto now = state_.claimable(
        next.trial, [this](const std::string& shard) { return is_stale(shard); }, !decision.is_null());
    if (!now || now->attempt > attempt) {
      unused_.insert({next.trial, attempt});
      note_taken(next.trial, attempt, owner.shard, again_s);
      return std::nullopt;
    }
    now->attempt = attempt;
    now->promotion = next.promotion;
    return now;
  }
}

std::optional<Prune> Sweep::prune_next(const Owner& owner, bool is_idle) {
  for (const std::int64_t number : state_.hopeless()) {
    const std::string& keeper = state_.keeper(number);
    const bool is_own = keeper == owner.shard;
    if (excluded_.contains(number) || (!is_own && !(is_idle && is_stale(keeper)))) {
      continue;
    }
    const RecordCut cut = state_.cut();
    Prune prune{number, 1, state_.standings().level_of(number), state_.cut_since(cut_)};
    const auto claimed = claim(state_.attempt_after(number), owner, {{"prune", prune.rung}});
    if (!claimed) {
      continue;
    }
    note_taken(number, claimed->attempt, owner.shard, std::numeric_limits<double>::infinity());
    const std::vector<std::int64_t> still = state_.hopeless();
    if (std::find(still.begin(), still.end(), number) == still.end()) {
      unused_.insert({number, claimed->attempt});  // somebody has promoted it meanwhile
      continue;
    }
    ++costs_.claims;
    cut_ = cut;
    prune.attempt = claimed->attempt;
    return prune;
  }
  return std::nullopt;
}

void Sweep::note_taken(std::int64_t trial, int attempt, const std::string& holder, double again_s) {
  taken_[trial] = {attempt, holder, again_s};
  excluded_.insert(trial);
}

void Sweep::drop_old_taken() {
  const double now_s = clock_.monotonic_s();
  for (auto at = taken_.begin(); at != taken_.end();) {
    const Taken& taken = at->second;
    if (state_.attempts(at->first) >= taken.attempt || now_s >= taken.again_s || state_.has_left(taken.holder)) {
      excluded_.erase(at->first);
      at = taken_.erase(at);
    } else {
      ++at;
    }
  }
}

Json start_fields(const NextTrial& next, int rank, const std::string& host, const std::string& recipe_hash,
                  std::int64_t length) {
  Json fields = {{"trial", next.trial},        {"attempt", next.attempt},         {"rank", rank},     {"host", host},
                 {"recipe_hash", recipe_hash}, {"resume_step", next.resume_step}, {"seen", next.seen}};
  if (length > 0) {
    fields["length"] = length;
  }
  return fields;
}

Json promote_fields(const NextTrial& next, std::int64_t until) {
  const Promotion& promotion = *next.promotion;
  return {{"trial", next.trial},    {"attempt", next.attempt},      {"rung", promotion.rung}, {"until", until},
          {"rank", promotion.rank}, {"results", promotion.results}, {"cut", promotion.cut}};
}

Json prune_fields(const Prune& prune) {
  return {{"trial", prune.trial}, {"attempt", prune.attempt}, {"rung", prune.rung}, {"cut", prune.cut}};
}

}  // namespace regatta
