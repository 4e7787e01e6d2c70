// Who may run an attempt: claim files (made by link, so exactly one wins) and the rules by which an owner counts as
// gone. The claim decides who may run; the journal decides what has happened.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/layout.hpp"

namespace regatta {

/// Creates claims/tNNNNN.aK with the owner's text. @param decision  its "decision", if there is one @return false if
/// somebody has it @throws DataError
bool try_claim(const SweepFiles& files, std::int64_t trial, int attempt, const Owner& owner,
               const Json& decision = nullptr);

/// Who holds a claim; nothing if nobody does. @throws DataError if the file cannot be read or parsed
std::optional<Owner> read_claim(const SweepFiles& files, std::int64_t trial, int attempt);

/// Whether the batch system runs a job. One that waits in the queue (requeued) runs nothing.
enum class JobListing { kListed, kNotListed, kUnknown };

class JobProbe {
 public:
  virtual ~JobProbe() = default;
  virtual JobListing look_up(const JobPlace& place) = 0;
};

/// A probe that knows nothing: no batch system here.
class NoJobProbe : public JobProbe {
 public:
  JobListing look_up(const JobPlace&) override { return JobListing::kUnknown; }
};

/// How long a journal shard may be silent before its writer counts as gone.
struct StaleRule {
  double after_s = 300.0;           ///< no growth, and the batch system does not run the job
  double without_squeue_s = 900.0;  ///< no growth, nobody to ask
  double stopped_s = 150.0;         ///< no growth: a writer that was cut off has killed its children by then
};

/// Decides which owners are gone. An owner is the coordinator; its trials run on all nodes of its job, and live on
/// there if a node is cut off. Gone at once: it left in order; its process was on this host and boot and is not there,
/// and its job has this node alone; it was this same Slurm job on the same nodes, by a lower restart count or a process
/// that is gone (Slurm ended it before this start). Alive: its process is there, on this host. Otherwise only silence
/// tells, by this reader's own monotonic clock (clocks of other machines are never compared): an earlier start of this
/// job on other nodes after 2.5 minutes without growth of its shard; another job after 5 minutes, if the batch system
/// does not run it (15 minutes if there is none to ask).
class StaleWatch {
 public:
  StaleWatch(JobPlace self, JobProbe& probe, const Clock& clock = system_clock(), StaleRule rule = {})
      : self_(std::move(self)), probe_(probe), clock_(clock), rule_(rule) {}

  /// Notes how far each shard has grown; call after every poll of the journal.
  void observe(const std::map<std::string, ShardProgress>& shards);

  bool is_stale(const Owner& owner);

  /// The same, for a shard that this reader has not seen grow for `quiet_s`.
  bool is_stale(const Owner& owner, double quiet_s);

 private:
  struct Growth {
    std::int64_t bytes = -1;
    double since_s = 0.0;
  };
  JobPlace self_;
  JobProbe& probe_;
  const Clock& clock_;
  StaleRule rule_;
  std::map<std::string, Growth> growth_;
};

}  // namespace regatta
