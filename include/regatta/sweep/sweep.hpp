// A sweep in use: journal, state and claims together, as a coordinator or a reader holds them. Decides and reads; the
// processes that train live in launch.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {

/// The parts of a sweep together, as a coordinator or a reader uses them: journal, state, claims.
///
///   Sweep sweep(files, rules_of(definition), this_job(), probe);   // reads everything
///   sweep.refresh();                            // new records
///   auto next = sweep.claim_next(owner);        // claimed: then journal "start", commit, hand out
class Sweep {
 public:
  Sweep(SweepFiles files, SweepRules rules, JobPlace self, JobProbe& probe, const Clock& clock = system_clock(),
        StaleRule stale = {});

  /// Takes in what the journal has gained.
  void refresh();

  const SweepFiles& files() const { return files_; }
  const SweepState& state() const { return state_; }
  const JournalReader& journal() const { return journal_; }

  /// Claims the next trial for `owner`. Looks at the journal again after the claim is made, so that a trial which
  /// another job has just finished is not run again. The caller then appends the "start" record (`start_fields`) and
  /// commits it before anything runs. @param accept  trials for which it is false are left to others
  /// @return nothing if no trial may be started now
  std::optional<NextTrial> claim_next(const Owner& owner, const std::function<bool(const NextTrial&)>& accept = {});

  /// The shard's writer is gone, by the rules of StaleWatch.
  bool is_stale(const std::string& shard);

 private:
  std::optional<NextTrial> claim(const NextTrial& next, const Owner& owner);

  SweepFiles files_;
  JournalReader journal_;
  SweepState state_;
  StaleWatch watch_;
  std::set<std::pair<std::int64_t, int>> unused_;  ///< claims of ours that were made too late to be used; still ours
};

/// The fields of "start".
Json start_fields(const NextTrial& next, int rank, const std::string& host, const std::string& recipe_hash);

}  // namespace regatta
