// The simulated cluster: clock and events, the jobs on it, what is really true of every trial (the journal must not
// disagree), and what is measured.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "options.hpp"
#include "shared_files.hpp"

namespace regatta::simulation {

class Job;

/// What an event is about. `rank` and `ticket` let a job tell events of a child or an earlier life that have become
/// void.
struct Event {
  enum class Kind { kStart, kReady, kStep, kCommit, kChild, kTimeLimit, kKill, kCutOff, kEnd };

  double time_s = 0.0;
  std::uint64_t order = 0;
  Kind kind = Kind::kStart;
  int job = 0;
  int rank = 0;
  std::uint64_t ticket = 0;

  bool operator>(const Event& other) const {
    return time_s != other.time_s ? time_s > other.time_s : order > other.order;
  }
};

/// What really happened to a trial.
struct TrialTruth {
  struct Saved {
    std::int64_t step = 0;
    double time_s = 0.0;
    std::uint64_t by = 0;  ///< view of the job that wrote it
  };
  std::vector<Saved> saved;  ///< checkpoints of its folder, oldest first
  int living = 0;            ///< children at work now
  int completed = 0;         ///< children that wrote a result
  Saved result;              ///< step 0: none
  bool claimed = false;
  bool dropped = false;  ///< its checkpoints were deleted: it was pruned
};

/// Whether squeue lists a job: it runs, waits for its next start, or ended a short while ago.
struct Listing {
  bool present = false;
  double ended_s = 0.0;
};

struct Measures {
  double rank_s = 0.0;         ///< of ranks in an event loop while trials were waiting that nobody had claimed
  double living_rank_s = 0.0;  ///< of these: with a living child
  double all_rank_s = 0.0;
  double all_living_rank_s = 0.0;
  double over_s = 0.0;       ///< when the last job ended
  std::int64_t letters = 0;  ///< taken by coordinators
  std::int64_t steps = 0;    ///< rounds of coordinators
  double coordinator_cpu_s = 0.0;
  double slowest_step_s = 0.0;
  std::int64_t job_starts = 0;
  std::int64_t job_kills = 0;
  std::int64_t cut_offs = 0;
  std::int64_t self_stops = 0;
  std::int64_t children = 0;
  std::int64_t child_kills = 0;
  std::int64_t overlaps = 0;  ///< children that began while another was at the same trial
  std::int64_t looks = 0;
  std::int64_t shard_looks = 0;
  std::int64_t claims = 0;
  std::int64_t claims_lost = 0;
  std::int64_t events = 0;
};

class World {
 public:
  explicit World(const SimulationOptions& options);
  ~World();

  /// Until every job has ended for good. @throws BugError if that does not come
  void run();

  void schedule(double time_s, Event::Kind kind, int job, int rank = 0, std::uint64_t ticket = 0);

  /// Call before the counts below change.
  void account();

  const SimulationOptions& options;
  SimulatedClock clock;
  SharedFiles files;
  std::shared_ptr<DecodedJournal> journal = std::make_shared<DecodedJournal>();
  std::vector<TrialTruth> truth;
  Measures measures;
  std::int64_t unclaimed;  ///< points that nobody has claimed ever
  std::int64_t ranks_up = 0;
  std::int64_t ranks_living = 0;
  std::map<std::string, Listing> queue;  ///< by job number
  std::vector<std::string> faults;       ///< what must not happen

  /// Uniform in [0, 1); each call site has its own stream.
  double draw(std::uint64_t stream, std::uint64_t a, std::uint64_t b = 0) const {
    return chance(static_cast<std::uint64_t>(options.seed) + stream * 7919, a, b);
  }

  /// Around 1: 0.5 to 1.5.
  double spread(std::uint64_t stream, std::uint64_t a, std::uint64_t b = 0) const { return 0.5 + draw(stream, a, b); }
  double exponential(double mean, std::uint64_t stream, std::uint64_t a, std::uint64_t b = 0) const;
  double log_normal(double median, double sigma, std::uint64_t stream, std::uint64_t a, std::uint64_t b = 0) const;

 private:
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  double accounted_s_ = 0.0;
  std::vector<std::unique_ptr<Job>> jobs_;
};

}  // namespace regatta::simulation
