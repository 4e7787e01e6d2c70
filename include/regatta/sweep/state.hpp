// The state of a sweep as the fold over all journal records: the same whatever the order in which shards arrive. Which
// trial is next, what is charged, when a trial is done. Pure: no files, no clock, no processes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "regatta/config/trial_files.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {

/// Where a trial stands. kPaused: it has begun, is not done and nobody is at it; it goes on from its checkpoint.
enum class TrialPhase { kWaiting, kRunning, kPaused, kDone };
const char* phase_name(TrialPhase phase);

/// What the fold knows about one trial.
struct TrialState {
  std::int64_t number = 0;
  TrialPhase phase = TrialPhase::kWaiting;
  std::optional<TrialStatus> status;         ///< set when done
  int attempts = 0;                          ///< highest attempt that has started
  int charged = 0;                           ///< attempts that count against the trial
  std::optional<AttemptStatus> last_status;  ///< how the newest attempt ended; not set while it runs or was lost
  std::int64_t step = 0;                     ///< newest step heard of
  std::int64_t epoch = 0;                    ///< of the newest report
  std::int64_t checkpoint_step = 0;          ///< newest checkpoint; 0: none
  std::optional<double> best;                ///< best objective so far
  std::int64_t best_step = 0;
  std::string message;  ///< of the newest end that had one
  std::string shard;    ///< journal shard of the newest attempt
  std::string host;     ///< of the newest attempt
  int rank = -1;
  std::string recipe_hash;
  std::string started_utc;  ///< of the newest attempt
  Json result;              ///< the TrialResult of an ok end; null otherwise

  bool operator==(const TrialState&) const = default;
};

/// What may be started next.
struct NextTrial {
  std::int64_t trial = 0;
  int attempt = 1;
  std::string seen;              ///< for the start record: status of the previous attempt, "lost", or ""
  std::int64_t resume_step = 0;  ///< for the start record: newest checkpoint seen
};

struct SweepCounts {
  std::int64_t total = 0;
  std::int64_t waiting = 0;
  std::int64_t running = 0;
  std::int64_t paused = 0;
  std::int64_t done = 0;
  std::map<std::string, std::int64_t> by_status;  ///< of the done, by trial status name
};

/// What the fold must know that is not in the journal.
struct SweepRules {
  std::int64_t trials = 0;  ///< total at birth; "extend" records raise it
  int max_attempts = 3;
  std::string metric;  ///< the objective
  bool maximise = true;
};

/// What `regatta stop` asks of a writer: kDrain lets its running trials end.
enum class StopRequest { kNone, kDrain, kSave };

/// Whether the writer of a journal shard is gone.
using IsStale = std::function<bool(const std::string& shard)>;

class SweepState {
 public:
  explicit SweepState(SweepRules rules) : rules_(std::move(rules)) {}

  /// Takes records in; any order of shards, any split into calls. Records of unknown types or with wrong fields are
  /// counted, not fatal (a later version may have written them).
  void apply(std::span<const Json> records);

  /// Trials in total: the largest of birth and all "extend" records.
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

  /// Whether the shard's writer left with more than it found: a checkpoint or a finished trial. Not known of one that
  /// has not left in order.
  std::optional<bool> gained(const std::string& shard) const;

  /// Slurm jobs known to work here or to be waiting to: "<cluster>/<id>", of arrays the array's own.
  std::set<std::string> slurm_jobs() const;

  /// What `regatta stop` has asked of this writer, or of its Slurm job at an earlier start.
  StopRequest stop_request(const Owner& owner) const;

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
  void apply_stop(const Json& record);
  void apply_to_trial(const std::string& type, const Json& record);
  std::optional<double> objective_in(const Json& metrics) const;
  bool is_better(double a, double b) const { return rules_.maximise ? a > b : a < b; }
  TrialState fold(std::int64_t number, const Trial& trial) const;
  void fold_newest(const StartedAttempts& attempts, TrialState& state) const;
  void fold_reports(const StartedAttempts& attempts, TrialState& state) const;
  static StartedAttempts started_attempts(const Trial& trial);
  static bool end_counts(const StartedAttempts& attempts, std::size_t i);

  SweepRules rules_;
  std::int64_t extended_ = 0;
  std::set<std::int64_t> touched_;  ///< trials whose state `apply` must fold anew
  std::map<std::int64_t, Trial> records_;
  std::map<std::int64_t, TrialState> folded_;
  std::map<std::string, Owner> owners_;
  std::map<std::string, std::optional<bool>> left_;  ///< by shard: whether it gained
  std::set<std::string> submitted_;                  ///< "<cluster>/<id>"
  std::map<std::string, StopRequest> stops_;         ///< by shard, and by "<cluster>/<id>"
  std::int64_t ignored_ = 0;
};

}  // namespace regatta
