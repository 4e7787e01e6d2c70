// The state of a sweep as the replay of all journal records: the same whatever the order in which shards arrive. Which
// trial is next, what is charged, when a trial is done. Pure: no files, no clock, no processes.
//
// Kept per trial: the number of its newest record in the store and a brief, 24 bytes in all; per record: the number of
// the one before it of the same trial, 4 bytes. What a coordinator asks at every event (counts, what is next, whether
// all is done) never goes over all trials.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "regatta/sweep/extension.hpp"
#include "regatta/sweep/replay.hpp"
#include "regatta/sweep/standings.hpp"

namespace regatta {

/// A decision that is recorded before it is acted on.
struct Promotion {
  int rung = 0;              ///< that the trial's point leaves
  std::int64_t rank = 1;     ///< there
  std::int64_t results = 0;  ///< there
  Json cut;                  ///< newest records that it was decided from, by shard; see `SweepState::cut`
};

/// What may be started next.
struct NextTrial {
  std::int64_t trial = 0;
  int attempt = 1;
  std::string seen;              ///< for the start record: status of the previous attempt, "lost", or ""
  std::int64_t resume_step = 0;  ///< for the start record: newest checkpoint seen
  std::optional<Promotion> promotion{};
};

struct SweepCounts {
  std::int64_t total = 0;
  std::int64_t waiting = 0;
  std::int64_t running = 0;
  std::int64_t paused = 0;
  std::int64_t held = 0;
  std::int64_t done = 0;
  std::map<std::string, std::int64_t> by_status;  ///< of the done, by trial status name
};

/// The larger of both: budgets are totals that only grow.
Budget extended(const Budget& a, const Budget& b, bool maximise);

/// Newest record that mattered to decisions, by shard number.
using RecordCut = std::vector<std::uint32_t>;

/// What `regatta stop` asks of a writer: kDrain lets its running trials end.
enum class StopRequest { kNone, kDrain, kSave };

/// Whether the writer of a journal shard is gone.
using IsStale = std::function<bool(const std::string& shard)>;

class SweepState {
 public:
  /// @param records  the store that `apply` takes its records from; may be shared
  explicit SweepState(SweepRules rules, std::shared_ptr<RecordStore> records = std::make_shared<RecordStore>())
      : rules_(std::move(rules)), records_(std::move(records)), standings_(rules_) {
    standings_.place(total(), extensions_);
  }

  /// Takes records in, each once; any order of shards, any split into calls. Records of unknown types or with wrong
  /// fields are counted, not fatal (a later version may have written them).
  void apply(std::span<const RecordStore::Id> records);

  /// The same, decoding them into the store first.
  void apply(std::span<const Json> records);

  /// Trials in total: from the first extension that lists some on, as the newest extension says; before, the largest of
  /// birth, "extend" and "extension" records.
  std::int64_t total() const;

  const SweepRules& rules() const { return rules_; }

  /// The extensions by number, as far as none is missing.
  const std::vector<Extension>& extensions() const { return extensions_; }

  /// Settings on which a sampler that reads the history has decided.
  const ProposedSettings& proposals() const { return proposals_; }

  /// What other sweeps lend, by the names of the records' shards.
  const std::map<std::string, LentHistory>& lent() const { return lent_; }

  /// What has been read, for the record of a proposal.
  JournalCut search_cut() const;

  /// A trial that nobody has begun gives the waiting state.
  TrialState trial(std::int64_t number) const;

  /// All trials 0 .. total - 1. Goes over everything: for reports.
  std::vector<TrialState> trials() const;

  /// The highest attempt at a trial that has started; 0: none.
  int attempts(std::int64_t number) const;

  /// The first trial of 0 .. total - 1 that is not done; the total if all are.
  std::int64_t first_not_done() const;

  SweepCounts counts() const;

  /// The step of a trial that has begun and is not done; nothing for others.
  std::optional<std::int64_t> active_step(std::int64_t number) const;

  /// Steps done in trials that have begun and are not done.
  std::int64_t active_steps() const { return active_steps_; }

  /// Every trial is done.
  bool finished() const;

  /// The done trial with the best objective and status ok; of equal ones the first.
  std::optional<TrialState> best() const;

  /// Running trials by shard, each shard's by number.
  const std::set<std::pair<std::uint32_t, std::int64_t>>& running() const { return running_; }
  const std::string& shard_name(std::uint32_t shard) const { return records_->shard_name(shard); }

  // What `next_in_line` (sweep/work_queue.hpp) chooses from; all by number, from `from` on.

  /// An interrupted trial that is not excluded. @param gone  shards whose running trials are interrupted
  std::optional<std::int64_t> next_interrupted(const std::set<std::int64_t>& exclude,
                                               const std::vector<std::uint32_t>& gone, std::int64_t from) const;

  /// A trial that nobody has begun; no replicate that waits for its point.
  std::optional<std::int64_t> next_new(const std::set<std::int64_t>& exclude, std::int64_t from) const;

  /// A replicate whose point has reached the end.
  std::optional<std::int64_t> next_follower(const std::set<std::int64_t>& exclude) const;

  /// Held trials that never go on, and replicates that wait for such a point: they are to be pruned.
  std::vector<std::int64_t> hopeless() const;

  /// The shard whose writer was the last to train a trial, or, of a replicate that waits, its point.
  const std::string& keeper(std::int64_t number) const;

  const Standings& standings() const { return standings_; }

  /// What a new attempt at a trial would be now.
  NextTrial attempt_after(std::int64_t number) const { return attempt_after(number, find(number)); }

  /// The rung at which a trial pauses next; nothing: it trains to its end.
  std::optional<int> next_rung(std::int64_t number) const;

  /// The newest record of each shard that mattered to decisions.
  const RecordCut& cut() const { return cut_; }

  /// What the cut has beyond an earlier one: {"SHARD": seq, ...}.
  Json cut_since(const RecordCut& before) const;

  /// GPU time of all trials that is known.
  double gpu_hours() const { return static_cast<double>(gpu_ms_) / 3.6e6; }

  /// As recorded; where nothing is, as given.
  Budget budget() const { return budget_.value_or(rules_.budget); }
  const std::optional<Budget>& recorded_budget() const { return budget_; }

  /// Which budget is used up, in words: "2.01 of 2 GPU-hours are used"; empty: none.
  std::string spent_text() const;

  /// Of the shards with running trials those of which it is said that their writers are gone.
  std::vector<std::uint32_t> gone_shards(const std::function<bool(std::uint32_t shard)>& is_gone) const;

  /// What a new attempt at this trial would be now, or nothing if it is done, waits at a rung, or somebody is at it.
  /// @param promoted  it has just been promoted, and need not wait
  std::optional<NextTrial> claimable(std::int64_t number, const IsStale& is_stale, bool promoted = false) const;

  /// Writers by shard, as their "join" says.
  std::map<std::string, Owner> owners() const;

  /// Who writes a shard; null if its "join" has not been read.
  const Owner* owner(const std::string& shard) const;

  /// The shard's writer has left in order.
  bool has_left(const std::string& shard) const;
  bool has_left(std::uint32_t shard) const { return shard < left_.size() && left_[shard] != Left::kNot; }

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
  static constexpr RecordStore::Id kNoRecord = TrialHistory::kNoRecord;

  /// What is known at once about a trial that has a record.
  struct Trial {
    std::int64_t step = 0;
    RecordStore::Id newest = kNoRecord;  ///< of its records the last that came
    std::int32_t attempts = 0;
    std::uint32_t shard = 0;  ///< of the newest attempt
    TrialPhase phase = TrialPhase::kWaiting;
    TrialStatus status = TrialStatus::kOk;  ///< of a done trial
  };
  static constexpr std::int64_t kBlock = 256;
  using Block = std::array<Trial, kBlock>;

  void apply_one(RecordStore::Id id);
  void apply_to_trial(RecordStore::Id id, const JournalRecord& record);
  void apply_submit(const Json& record);
  void apply_stop(const Json& record);
  void leave(std::uint32_t shard, const Json& gained);
  void extend(std::int64_t total);
  void apply_extension(const Json& record);
  void note_search_cut(const JournalRecord& record);
  void take_extension(const Extension& extension);
  void recount();
  void settle(std::int64_t number, Trial& trial);
  void count(std::int64_t number, const Trial& trial, int sign);
  NextTrial attempt_after(std::int64_t number, const Trial* trial) const;
  void note_point(std::int64_t number);
  PointFacts facts_of(std::int32_t point) const;
  void settle_point(std::int32_t point);
  void apply_budget(const Json& record);
  void note_decision(const JournalRecord& record);
  void note_value(const std::optional<double>& value);
  void note_best(std::int64_t number, const Trial& trial, const TrialOutcome& outcome);
  void consider_best(std::int64_t number, const Trial& trial, const JournalRecord* result) const;
  Trial& trial_at(std::int64_t number);
  const Trial* find(std::int64_t number) const;
  void for_each_trial(const std::function<void(std::int64_t, const Trial&)>& look) const;

  TrialHistory history_of(const Trial& trial) const { return {*records_, before_, trial.newest}; }
  ReplayContext context() const {
    return {rules_, length_, [this](std::uint32_t shard) { return has_left(shard); }};
  }

  SweepRules rules_;
  std::shared_ptr<RecordStore> records_;
  std::int64_t extended_ = 0;  ///< the largest total that lists no trials
  std::int64_t listed_ = 0;    ///< total of the newest extension that lists its trials; 0: there is none
  std::int64_t length_ = 0;    ///< number of the newest extension that makes trainings longer; 0: there is none
  std::vector<Extension> extensions_;
  std::set<std::int64_t> enqueued_;  ///< trials that a person asked for and nobody has begun
  ProposedSettings proposals_;
  std::map<std::string, LentHistory> lent_;
  std::vector<std::uint32_t> search_cut_;       ///< by shard
  std::map<std::int64_t, Extension> ahead_;     ///< extensions of which an earlier one has not been read yet
  std::vector<std::unique_ptr<Block>> blocks_;  ///< trials by number
  std::vector<RecordStore::Id> before_;         ///< by record: the one that came before it of the same trial
  std::vector<std::uint64_t> begun_;            ///< one bit a trial
  std::set<std::int64_t> paused_;
  std::set<std::pair<std::uint32_t, std::int64_t>> running_;  ///< shard, trial
  std::array<std::int64_t, 5> by_phase_{};                    ///< of the trials below the total; waiting is not counted
  std::array<std::int64_t, 6> by_status_{};
  std::int64_t active_steps_ = 0;
  mutable std::optional<std::pair<double, std::int64_t>> best_;  ///< objective, trial
  mutable bool best_known_ = true;  ///< false: the best trial has changed, and all must be looked at
  std::map<std::uint32_t, RecordStore::Id> joins_;
  enum class Left : std::uint8_t { kNot, kUnknown, kGained, kNotGained };
  std::vector<Left> left_;                    ///< by shard
  std::set<std::string> submitted_;           ///< "<cluster>/<id>"
  std::map<std::string, StopRequest> stops_;  ///< by shard, and by "<cluster>/<id>"
  std::int64_t ignored_ = 0;
  AttemptList scratch_;
  Standings standings_;
  std::set<std::int64_t> ready_;      ///< replicates whose points have reached the end
  std::set<std::int64_t> abandoned_;  ///< replicates whose points never will
  RecordCut cut_;
  std::int64_t gpu_ms_ = 0;
  std::optional<Budget> budget_;
  std::optional<double> best_value_;  ///< of all validations
};

}  // namespace regatta
