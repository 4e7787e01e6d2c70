// The supervisor of one rank: takes a trial from the coordinator, has its child started, speaks the protocol with it,
// passes on what it reports, and says how it ended. Which trial is next is the coordinator's business.
//
// Letters to the coordinator: ask {}, progress/report/checkpoint {trial, attempt, ...as the child said},
//   end {trial, attempt, status, step, message[, result]}, leaving {signal}, left {}
// Letters from it: assign {trial, attempt, root, threads, until}, pause {}, leave {}, alive {durable_age_s},
//   finish {code}
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>

#include "launch/attempt_end.hpp"
#include "launch/hang_watch.hpp"
#include "launch/spawner.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/config/protocol.hpp"
#include "regatta/launch/gpu_choice.hpp"

namespace regatta {

/// What a rank gives its trials.
struct WorkerSeat {
  std::string worker;  ///< program that trains
  GpuChoice gpu;
  std::vector<int> cpus;      ///< this rank's share of the machine's processors
  std::vector<int> all_cpus;  ///< the job's, for a trial that was born with more threads than the share has
};

struct SupervisorTimes {
  HangRule hang;
  double leave_deadline_s = 225.0;  ///< for the child to save; below the coordinator's
  double repeat_leave_s = 1.0;
  double after_abort_s = 5.0;  ///< between SIGABRT (for a stack) and SIGKILL
  double after_end_s = 60.0;   ///< between the child's "end" and its exit
  double progress_every_s = 2.0;
  double coordinator_silent_s = 120.0;  ///< then the journal may no longer be ours: stop
};

class Supervisor {
 public:
  using Send = std::function<void(const Json& letter)>;

  Supervisor(Spawner& spawner, WorkerSeat seat, Send send, SupervisorTimes times = {},
             const Clock& clock = system_clock());
  ~Supervisor();

  /// Takes a letter from the coordinator.
  void take(const Json& letter);

  /// The job is to end: says so to the coordinator, once.
  void request_leave(int signal);

  /// One round: child's messages, exits, deadlines.
  /// @throws CommError if the child is of another build, the spawner is gone, or the coordinator is silent for too long
  void step();

  /// Descriptors whose news `step` handles.
  std::vector<pollfd> descriptors() const;

  bool is_busy() const { return attempt_ != nullptr; }

  /// The coordinator has said how the job ends.
  std::optional<int> finish_code() const { return finish_code_; }

 private:
  struct Attempt;

  void begin(const Json& letter);
  void leave();
  void pause();
  void repeat_leave();
  void listen();
  void handle(Json message);
  void pass_on(const std::string& type, const Json& message);
  void watch();
  void report_unheard_checkpoint();
  void end();
  void kill_child(int signal);

  Spawner& spawner_;
  WorkerSeat seat_;
  Send send_;
  SupervisorTimes times_;
  const Clock& clock_;
  std::unique_ptr<Attempt> attempt_;
  bool asked_ = false;
  bool leaving_ = false;
  bool leave_requested_ = false;
  bool left_ = false;
  std::optional<int> finish_code_;
  double last_durable_s_;
};

}  // namespace regatta
