// Schedulers: which trials train on. A training pauses at rungs, each a validation; of those that have reached a rung,
// the scheduler says how many of the best may go on, and beyond which rank one never will. Pure functions: what has
// been reached stands in the journal (sweep/standings.hpp), so every reader decides alike from the same records.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "regatta/config/job.hpp"

namespace regatta {

/// How many points are at a rung.
struct RungCount {
  std::int64_t results = 0;  ///< that have reached it, diverged ones included
  std::int64_t most = 0;     ///< that can reach it under the sweep's totals
  bool is_closed = false;    ///< no more results can come
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  /// Refuses a job that it cannot serve. @throws ConfigError
  virtual void check(const JobOptions& job) const = 0;

  /// Epochs at which every training pauses, ascending, each a validation and before the end; empty: none.
  /// @param epochs  of the whole training  @param every  epochs between validations
  /// @throws ConfigError if no rung fits
  virtual std::vector<std::int64_t> rungs(const SchedulerOptions& options, std::int64_t epochs,
                                          std::int64_t every) const = 0;

  /// So many of the best of a rung may go on.
  virtual std::int64_t promotes(const SchedulerOptions& options, const RungCount& rung) const = 0;

  /// A point of a higher rank (1 is the best) never goes on under the totals: it is pruned.
  virtual std::int64_t keeps(const SchedulerOptions& options, const RungCount& rung) const = 0;
};

struct SchedulerRow {
  const char* name;
  const char* help;
  std::unique_ptr<Scheduler> (*make)();
};

/// All schedulers, in the order of schedulers.def.
const std::vector<SchedulerRow>& scheduler_rows();

/// @throws ConfigError naming the schedulers there are
std::unique_ptr<Scheduler> make_scheduler(const std::string& name);

/// One line of the rung table: how many points train from the rung before to this one, in epochs.
struct RungRow {
  std::int64_t epochs = 0;  ///< since the start; the last row is the end of the training
  std::int64_t points = 0;
  std::int64_t trials = 0;       ///< of these points: folds, and at the end replicates
  std::int64_t epochs_more = 0;  ///< of all these trials together
};

/// What a sweep costs if every rung promotes exactly the share that it may: asynchronous promotion can take some more.
/// @param points   in the sweep  @param folds  trials of a point that climb  @param replicates  of a point
std::vector<RungRow> rung_table(const SchedulerOptions& options, const std::vector<std::int64_t>& rungs,
                                std::int64_t epochs, std::int64_t points, std::int64_t folds, std::int64_t replicates);

}  // namespace regatta
