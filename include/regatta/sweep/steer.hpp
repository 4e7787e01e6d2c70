// What a person does to a sweep from outside: stop it, give failed trials another chance, remove what is not needed any
// more. Records and files only; the sweep's own processes look at the journal and act.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "regatta/sweep/describer.hpp"
#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {

/// Whom a stop request reaches.
struct StopOrder {
  std::vector<std::string> running;  ///< "job 4711 on node3": writers that have not left
  std::vector<std::string> jobs;     ///< Slurm jobs, "<cluster>/<id>", which leave at once whenever they start again
  bool finished = false;             ///< every trial had ended before
};

/// Appends a "stop" record for all writers that have not left and all Slurm jobs known to the sweep. Jobs that are
/// submitted later are not stopped. @param drain  running trials may end @throws DataError
StopOrder order_stop(const SweepFiles& files, bool drain);

/// A trial that is to be tried again.
struct RetriedTrial {
  std::int64_t number = 0;
  std::int64_t step = 0;  ///< of its newest checkpoint; 0: there is none (any more), it starts from the beginning
};

/// Appends "retry" records: the attempts so far count no longer, so that these trials are started again, from their
/// newest checkpoint where they have one. @param trials  numbers; empty: all that ended without weights
/// @return the trials, ascending @throws ConfigError: a trial that is not done, or is ok
std::vector<RetriedTrial> order_retry(const SweepFiles& files, const std::vector<std::int64_t>& trials);

/// A point that a person asks for, as trials of the sweep.
struct EnqueuedPoint {
  Point point;
  std::int64_t first = 0;   ///< number of its first trial
  std::int64_t trials = 0;  ///< folds times replicates
};

/// Records a point to be tried before those that wait, in addition to them: an extension. Checked by the models first.
/// @param given  axis -> value, or its name; axes that are left out keep the recipe's value
/// @throws ConfigError: something that is no axis, a value that the axis does not have, a point that the sweep has
EnqueuedPoint order_enqueue(const SweepFiles& files, const Json& given, Describer& describer);

struct Cleaned {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
  std::vector<std::filesystem::path> paths;
};

struct CleanOptions {
  bool failed = false;   ///< checkpoints of trials that failed too
  bool final = false;    ///< also those that finished trials keep by /checkpoint/keep_final
  bool dry_run = false;  ///< only says what it would remove
};

/// Removes checkpoints of trials that are ok or pruned (best weights, metrics and logs stay), and temporary files of
/// killed writers that are older than a day. Trials that are not done are left alone.
Cleaned clean_sweep(const SweepFiles& files, const CleanOptions& options);

}  // namespace regatta
