// A sweep in use: journal, state and claims together, as a coordinator or a reader holds them. Decides and reads; the
// processes that train live in launch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "regatta/sweep/claims.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {

/// How often a coordinator looks at everybody's shards. A look costs one request to the file system for every open
/// shard, and every coordinator looks at every other's: the pause grows with them.
inline constexpr double kLookEvery_s = 2.0;
inline constexpr double kLookPausePerShard_s = 0.01;

/// A claim that somebody has and whose start is not in the journal yet is looked at again after this time.
inline constexpr double kClaimAgain_s = 30.0;

/// What a sweep has done to its file system, for measurements.
struct SweepCosts {
  std::int64_t looks = 0;        ///< at all open shards
  std::int64_t shards = 0;       ///< looked at in all
  std::int64_t claims = 0;       ///< made
  std::int64_t claims_lost = 0;  ///< somebody else had it
};

/// A trial to be pruned, claimed.
struct Prune {
  std::int64_t trial = 0;
  int attempt = 1;
  int rung = 0;
  Json cut;
};

/// The parts of a sweep together, as a coordinator or a reader uses them: journal, state, claims.
///
///   Sweep sweep(files, rules_of(definition), this_job(), probe);   // reads everything
///   sweep.look();                               // new records of everybody, if it is time
///   auto next = sweep.claim_next(owner);        // claimed: then journal "start", commit, hand out
class Sweep {
 public:
  Sweep(SweepFiles files, SweepRules rules, JobPlace self, JobProbe& probe, const Clock& clock = system_clock(),
        StaleRule stale = {});

  /// The same over another storage, with a journal that may be shared by many.
  Sweep(SweepFiles files, std::shared_ptr<SweepStorage> storage, std::shared_ptr<DecodedJournal> journal,
        SweepRules rules, JobPlace self, JobProbe& probe, const Clock& clock, StaleRule stale = {});

  /// For a sampler that reads the history: `claim_next` decides on settings as they are needed.
  /// @param born  the job as born
  void decide_settings(const JobOptions& born);

  /// Takes in what all shards have gained.
  void refresh();

  /// `refresh`, if the last one is old enough: 2 s, more with more shards.
  void look();

  /// The least pause between looks for the number of shards there are now.
  double look_pause_s() const { return kLookPausePerShard_s * static_cast<double>(journal_.open_shards()); }

  /// Takes in what one shard has gained: the caller's own, after a commit.
  void refresh_shard(const std::string& shard);

  const SweepFiles& files() const { return files_; }
  const SweepState& state() const { return state_; }
  const SweepCosts& costs() const { return costs_; }

  /// Claims the next trial for `owner`, after a `look`: in the order of `next_in_line`. Once a race
  /// is lost it continues from another place among the trials, so that many coordinators do not want the same ones. A
  /// claim that follows an attempt is checked against the journal once it is made, so that a trial which another job
  /// has just finished is not run again. The caller then appends the "start" record (`start_fields`) and commits it
  /// before anything runs. @param accept  trials for which it is false are left to others; after 100 it gives up,
  /// at once where trials pause at rungs (what is decided must not depend on what fits)
  /// @return nothing if no trial may be started now
  std::optional<NextTrial> claim_next(const Owner& owner, const std::function<bool(const NextTrial&)>& accept = {});

  /// A trial that never goes on (`SweepState::hopeless`), claimed for `owner`, so that nobody promotes it meanwhile.
  /// The caller then appends "prune" (`prune_fields`), commits it, and deletes the trial's checkpoints. Each job sees
  /// to the trials that it was the last to train. @param is_idle  also those of jobs that are gone
  std::optional<Prune> prune_next(const Owner& owner, bool is_idle);

  /// The shard's writer is gone, by the rules of StaleWatch.
  bool is_stale(const std::string& shard);

 private:
  /// A trial that must not be tried now: claimed, and the start not read yet.
  struct Taken {
    int attempt = 0;
    std::string holder;    ///< shard
    double again_s = 0.0;  ///< not before
  };
  void take_in();
  void drop_old_taken();
  bool is_gone(const Owner& owner);
  bool is_gone(std::uint32_t shard);
  bool is_far(std::uint32_t shard);
  const std::vector<std::uint32_t>& gone_shards();
  bool decide_next_setting();
  std::optional<NextTrial> claim(const NextTrial& next, const Owner& owner, const Json& decision);
  void note_taken(std::int64_t trial, int attempt, const std::string& holder, double again_s);

  SweepFiles files_;
  JobPlace self_;
  StaleRule stale_;
  std::shared_ptr<SweepStorage> storage_;
  const Clock& clock_;
  JournalFollower journal_;
  SweepState state_;
  StaleWatch watch_;
  SweepCosts costs_;
  std::vector<RecordStore::Id> fresh_;
  std::optional<std::vector<std::uint32_t>> gone_;  ///< shards with running trials whose writers are gone
  std::vector<signed char> far_;  ///< by shard: 1 if only silence tells that its writer is gone, -1 not known yet
  double looked_s_ = -1e9;
  RecordCut cut_;  ///< of the last decision that was recorded
  std::map<std::int64_t, Taken> taken_;
  std::set<std::int64_t> excluded_;                ///< the trials of `taken_`
  std::set<std::pair<std::int64_t, int>> unused_;  ///< claims of ours that were made too late to be used; still ours
  std::map<std::string, double> unseen_;           ///< shards of claims that the journal does not show, since when
  std::int64_t from_ = 0;                          ///< where to look for trials
  std::optional<TrialList> search_;                ///< of a sampler that reads the history
  std::uint64_t races_ = 0;                        ///< lost
};

/// The fields of "start". @param length  number of the extension to whose length the recipe trains; 0: that at birth
Json start_fields(const NextTrial& next, int rank, const std::string& host, const std::string& recipe_hash,
                  std::int64_t length = 0);

/// The fields of "promote". @param until  step to which the trial goes on
Json promote_fields(const NextTrial& next, std::int64_t until);

/// The fields of "prune".
Json prune_fields(const Prune& prune);

}  // namespace regatta
