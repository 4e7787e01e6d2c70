// What Slurm's queue says about the jobs of a sweep: for `regatta status`. Needs no MPI.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/sweep/layout.hpp"

namespace regatta {

/// One job, or one element of an array, that is in the queue.
struct QueuedJob {
  std::string id;     ///< "4711", "4711_0"
  std::string state;  ///< as squeue says: RUNNING, PENDING ...
  std::string used;   ///< time so far, as Slurm writes it
  std::string limit;
  std::string start;   ///< when it began or is expected to; "N/A": nobody knows
  std::string reason;  ///< nodes of a running job; "(Priority)" of one that waits
  bool is_report = false;

  bool operator==(const QueuedJob&) const = default;
};

struct SweepQueue {
  std::set<std::string> known;  ///< numbers of all jobs that the journal names; of arrays the array's own
  std::string error;            ///< why Slurm could not be asked; empty: it was
  std::vector<QueuedJob> jobs;  ///< that are in the queue now
};

/// Asks squeue once for the jobs that the journal's "submit" and "join" records name; not at all if there is none.
/// @throws DataError if the journal cannot be read
SweepQueue read_queue(const SweepFiles& files);

/// A line per job; nothing for a sweep without Slurm jobs.
std::string queue_text(const SweepQueue& queue);
Json to_json(const SweepQueue& queue);

}  // namespace regatta
