// Replay of one trial's journal records: what they say together, whatever the order in which they came. Pure functions
// over sets of facts: no files, no clock, no indexes. The state of the whole sweep, with its indexes, is in state.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/trial_files.hpp"
#include "regatta/sweep/record.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {

/// Where a trial stands. kPaused: it has begun, is not done and nobody is at it; it continues from its checkpoint.
/// kHeld: it waits at a rung for others, with a checkpoint, and goes on only if it is promoted.
enum class TrialPhase : std::uint8_t { kWaiting, kRunning, kPaused, kHeld, kDone };
const char* phase_name(TrialPhase phase);

/// What the journal says about one trial.
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
  std::string started_utc;                     ///< of the newest attempt
  Json result;                                 ///< the TrialResult of an ok end; null otherwise
  std::vector<std::optional<double>> rungs{};  ///< objective at each rung that it has reached; nothing: not finite
  int recalls = 0;  ///< how often it was pruned and then promoted after all, to train again from its beginning

  bool operator==(const TrialState&) const = default;
};

/// Totals at which a sweep ends early.
struct Budget {
  double gpu_hours = 0.0;        ///< 0: no limit
  std::optional<double> target;  ///< of the objective

  bool operator==(const Budget&) const = default;
};

/// What a replay must know that is not in the journal.
struct SweepRules {
  std::int64_t trials = 0;  ///< total at birth; extensions raise it
  int max_attempts = 3;
  std::string metric;  ///< the objective
  bool maximise = true;
  Budget budget{};  ///< as given; records of the journal go before it
  SchedulerOptions scheduler{};
  int rungs = 0;                                   ///< at which trials pause
  int replicates = 1;                              ///< of a point at birth
  std::function<TrialPoint(std::int64_t)> born{};  ///< trials as born; empty unless folds of a point are trials of it

  bool is_better(double a, double b) const { return maximise ? a > b : a < b; }
};

/// The records of one trial in a store, from the newest to the oldest as they came.
class TrialHistory {
 public:
  static constexpr RecordStore::Id kNoRecord = std::numeric_limits<RecordStore::Id>::max();

  /// @param before  by record: the one that came before it of the same trial, or kNoRecord
  TrialHistory(const RecordStore& store, const std::vector<RecordStore::Id>& before, RecordStore::Id newest)
      : store_(store), before_(before), newest_(newest) {}

  template <class Look>
  void for_each(Look&& look) const {
    for (RecordStore::Id id = newest_; id != kNoRecord; id = before_[id]) {
      look(store_[id]);
    }
  }

  const RecordStore& store() const { return store_; }

 private:
  const RecordStore& store_;
  const std::vector<RecordStore::Id>& before_;
  RecordStore::Id newest_;
};

/// What one shard says about one attempt. Points into the store.
struct AttemptRecords {
  int number = 0;
  std::uint32_t shard = 0;
  const JournalRecord* start = nullptr;
  const JournalRecord* end = nullptr;
  std::int64_t checkpoint_step = 0;
  std::int64_t step = 0;  ///< newest of its reports
};

/// The first that reached a rung says what the trial is worth there.
struct RungRecord {
  const JournalRecord* record = nullptr;
  std::optional<double> value;  ///< nothing: not finite
};

/// What was recorded about a trial, by noun.
struct AttemptList {
  std::vector<AttemptRecords> started;  ///< attempts that have a start, ascending; one shard each
  std::vector<RungRecord> rungs;        ///< 0, 1, ... without a gap
  int retried_up_to = 0;
  int pruned_attempt = 0;  ///< the newest; 0: never
  int pruned_rung = -1;
};

/// What a trial is judged by besides its own records.
struct ReplayContext {
  const SweepRules& rules;
  std::int64_t length = 0;  ///< number of the newest extension that makes trainings longer; 0: there is none
  std::function<bool(std::uint32_t shard)> has_left;  ///< its writer has left in order
};

/// A trial without what only people read.
struct TrialOutcome {
  std::optional<TrialStatus> status;
  std::optional<AttemptStatus> last_status;
  TrialPhase phase = TrialPhase::kWaiting;
  int charged = 0;
  std::int64_t step = 0;
  std::int64_t checkpoint_step = 0;
  int attempts = 0;                             ///< highest number that has been used
  const JournalRecord* last_message = nullptr;  ///< the newest end that had a message
  const JournalRecord* result = nullptr;        ///< the ok end
};

/// Facts by attempt and shard; then of each attempt the shard that started it. Claims let only one shard start an
/// attempt; should two, the first by name counts. Of several starts or ends of one attempt in one shard the first
/// counts. @param list  is filled again; its memory is used again
void gather_attempts(const TrialHistory& history, AttemptList& list);

/// @param level  the rung at which the trial is to pause next: as many as its point was promoted from; the number of
/// rungs: it trains to its end
TrialOutcome outcome_of(const AttemptList& attempts, const ReplayContext& context, int level = 0);

/// Everything, for people and reports.
TrialState replay_trial(std::int64_t number, const TrialHistory& history, const ReplayContext& context, int level = 0);

/// The objective of an ok end; nothing if its result has none.
std::optional<double> final_objective(const JournalRecord& end, const SweepRules& rules);

/// The objective among metrics by name; nothing if it is absent or not finite.
std::optional<double> objective_in(const Json& metrics, const SweepRules& rules);

}  // namespace regatta
