// Journal, state and claims of a sweep, used together.
#include "regatta/sweep/sweep.hpp"

#include <nlohmann/json.hpp>

namespace regatta {

Sweep::Sweep(SweepFiles files, SweepRules rules, JobPlace self, JobProbe& probe, const Clock& clock, StaleRule stale)
    : files_(std::move(files)),
      journal_(files_.journal()),
      state_(std::move(rules)),
      watch_(std::move(self), probe, clock, stale) {
  refresh();
}

void Sweep::refresh() {
  state_.apply(journal_.poll());
  watch_.observe(journal_.shards());
}

bool Sweep::is_stale(const std::string& shard) {
  if (state_.has_left(shard)) {
    return true;
  }
  const auto owner = state_.owners().find(shard);
  if (owner != state_.owners().end()) {
    return watch_.is_stale(owner->second);
  }
  Owner unknown;  // its "join" could not be read: only silence can tell
  unknown.shard = shard;
  return watch_.is_stale(unknown);
}

std::optional<NextTrial> Sweep::claim_next(const Owner& owner, const std::function<bool(const NextTrial&)>& accept) {
  refresh();
  std::set<std::int64_t> exclude;
  const auto stale = [this](const std::string& shard) { return is_stale(shard); };
  while (const auto next = state_.next_claimable(exclude, stale)) {
    if (!accept || accept(*next)) {
      if (auto claimed = claim(*next, owner)) {
        return claimed;
      }
    }
    exclude.insert(next->trial);
  }
  return std::nullopt;
}

/// Takes the first attempt number from `next.attempt` on that is free; passes over claims whose owners are gone (they
/// claimed, but never journalled a start).
std::optional<NextTrial> Sweep::claim(const NextTrial& next, const Owner& owner) {
  for (int attempt = next.attempt;; ++attempt) {
    bool is_ours = unused_.erase({next.trial, attempt}) > 0 || try_claim(files_, next.trial, attempt, owner);
    if (!is_ours) {
      const auto holder = read_claim(files_, next.trial, attempt);
      if (!holder || !(state_.has_left(holder->shard) || watch_.is_stale(*holder))) {
        return std::nullopt;
      }
      continue;
    }
    refresh();
    auto now = state_.claimable(next.trial, [this](const std::string& shard) { return is_stale(shard); });
    if (!now || now->attempt > attempt) {
      unused_.insert({next.trial, attempt});
      return std::nullopt;
    }
    now->attempt = attempt;
    return now;
  }
}

Json start_fields(const NextTrial& next, int rank, const std::string& host, const std::string& recipe_hash) {
  return {{"trial", next.trial},        {"attempt", next.attempt},         {"rank", rank},     {"host", host},
          {"recipe_hash", recipe_hash}, {"resume_step", next.resume_step}, {"seen", next.seen}};
}

}  // namespace regatta
