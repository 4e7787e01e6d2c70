// The fold as it reads in the documentation: every record of every trial kept as it came, every question answered by
// going over all trials. The oracle of sweep/state.hpp, which answers the same from indexes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "regatta/sweep/state.hpp"

namespace regatta::test {

class PlainState {
 public:
  explicit PlainState(SweepRules rules) : rules_(std::move(rules)) {}

  /// Takes records in; any order of shards, any split into calls. Records of unknown types or with wrong fields are
  /// counted, not fatal (a later version may have written them).
  void apply(std::span<const Json> records);

  /// Trials in total: of the newest extension that lists some, else the largest of all totals.
  std::int64_t total() const;

  /// A trial that nobody has begun gives the waiting state.
  TrialState trial(std::int64_t number) const;

  /// All trials 0 .. total - 1.
  std::vector<TrialState> trials() const;

  SweepCounts counts() const;

  /// Every trial is done.
  bool finished() const;

  /// The done trial with the best objective and status ok.
  std::optional<TrialState> best() const;

  /// What to start next: interrupted trials first (they hold invested work), then new ones, both by number.
  /// @param exclude   trials that the caller may not take (claimed by somebody alive)
  /// @param is_stale  a shard for which it is true: its running trials are interrupted
  std::optional<NextTrial> next_claimable(const std::set<std::int64_t>& exclude, const IsStale& is_stale) const;

  /// What a new attempt at this trial would be now, or nothing if it is done or somebody is at it.
  std::optional<NextTrial> claimable(std::int64_t number, const IsStale& is_stale) const;

  /// Writers by shard, as their "join" says.
  const std::map<std::string, Owner>& owners() const { return owners_; }

  /// The shard's writer has left in order.
  bool has_left(const std::string& shard) const { return left_.contains(shard); }

  /// Records that were not understood.
  std::int64_t ignored() const { return ignored_; }

 private:
  struct Report {
    std::int64_t step = 0;
    std::int64_t epoch = 0;
    std::optional<double> objective;
  };
  struct End {
    AttemptStatus status = AttemptStatus::kFailed;
    std::int64_t step = 0;
    std::string message;
    Json result;
  };
  /// What one shard says about one attempt.
  struct Attempt {
    bool started = false;
    std::string seen;
    std::int64_t resume_step = 0;
    int rank = -1;
    std::string host;
    std::string recipe_hash;
    std::string time;
    std::int64_t length = 0;
    std::int64_t checkpoint_step = 0;
    std::vector<Report> reports;
    std::optional<End> end;
  };
  /// Key: attempt, then shard. Claims let only one shard start an attempt; should two, the first by name counts.
  using Attempts = std::map<int, std::map<std::string, Attempt>>;
  struct Trial {
    Attempts attempts;
    int retried_up_to = 0;
  };

  /// An attempt that has a "start", with its number and the shard that started it.
  struct StartedAttempt {
    int number;
    const Attempt* attempt;
    std::string shard;
  };
  using StartedAttempts = std::vector<StartedAttempt>;  ///< ascending

  void apply_one(const Json& record);
  void apply_to_trial(const std::string& type, const Json& record);
  std::optional<double> objective_in(const Json& metrics) const;
  bool is_better(double a, double b) const { return rules_.maximise ? a > b : a < b; }
  TrialState fold(std::int64_t number, const Trial& trial) const;
  void fold_newest(const StartedAttempts& attempts, TrialState& state) const;
  void fold_reports(const StartedAttempts& attempts, TrialState& state) const;
  static StartedAttempts started_attempts(const Trial& trial);
  static bool end_counts(const StartedAttempts& attempts, std::size_t i);

  SweepRules rules_;
  /// The extensions by number, up to the first that has not been read.
  std::vector<Extension> extensions() const;

  std::int64_t extended_ = 0;
  std::map<std::int64_t, Extension> extensions_;
  std::set<std::int64_t> touched_;  ///< trials whose state `apply` must fold anew
  std::map<std::int64_t, Trial> records_;
  std::map<std::int64_t, TrialState> folded_;
  std::map<std::string, Owner> owners_;
  std::set<std::string> left_;
  std::int64_t ignored_ = 0;
};

}  // namespace regatta::test
