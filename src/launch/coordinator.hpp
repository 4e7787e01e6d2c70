// The coordinator: rank 0's side of the event loop. Hands out trials one by one, keeps the journal, gathers the ranks
// when the job has to leave, and says when all is done. It never waits: what needs a durable record waits in
// `pending_`.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "launch/journal_thread.hpp"
#include "launch/ranks.hpp"
#include "launch/slice_forecast.hpp"
#include "launch/sweep_progress.hpp"
#include "launch/sweep_start.hpp"
#include "launch/time_left.hpp"

namespace regatta {

struct CoordinatorTimes {
  double look_again_s = 2.0;    ///< at the journal, while ranks are idle because others have the rest
  double look_busy_s = 10.0;    ///< at the journal, while all ranks work: `regatta stop` may have written to it
  double alive_every_s = 10.0;  ///< letters to the supervisors
  double leave_deadline_s = 240.0;
  double heartbeat_s = 30.0;
  double stop_s = 120.0;         ///< without a durable record for so long the job ends
  double idle_leave_s = 900.0;   ///< a job that has found nothing to do for so long leaves
  double signal_early_s = 60.0;  ///< Slurm may tell a job to leave so long before it should
  SliceGuess slice;
};

/// Letters that go to the coordinator rather than to a rank's supervisor.
bool is_for_coordinator(const std::string& type);

/// Of a finished sweep: kOk if all trials are ok or pruned, else kFailure.
ExitCode exit_code_of(const SweepState& state);

class Coordinator {
 public:
  /// @param hosts    machine of each rank, for records
  /// @param threads  of a trial whose recipe leaves them open
  Coordinator(Ranks& ranks, SweepStart& start, DurableJournal& journal, Owner owner, std::vector<std::string> hosts,
              int threads, SweepProgress& progress, TimeLeft& time_left, CoordinatorTimes times = {},
              const Clock& clock = system_clock());

  void take(const Letter& letter);

  /// One round. @throws DataError if nothing could be made durable for two minutes
  void step();

  /// Records wait for the disk: look again soon.
  bool is_waiting() const { return !pending_.empty(); }

  /// A trial has been handed to a rank.
  bool has_started() const { return started_; }

 private:
  struct Seat {
    bool idle = false;
    bool left = false;
    std::optional<std::pair<std::int64_t, int>> attempt;  ///< trial, attempt
    double assigned_s = 0.0;                              ///< when it was told to start; 0: its first word has come
    double counted_s = 0.0;                               ///< up to when its GPU time is in the journal
    std::int64_t until = 0;  ///< step of the rung at which its slice ends; 0: at the trial's end
    int rung = 0;
  };
  struct Pending {
    std::int64_t record = 0;
    std::function<void()> then;
  };

  void record(const std::string& type, const Json& fields, std::function<void()> then = {});
  void release_durable();
  void look_at_journal();
  void hand_out();
  bool hand_out_to(int rank);
  std::optional<NextTrial> claim_in_time();
  void note_progress(Seat& seat, const Json& letter);
  bool note_refusal(const NextTrial& next);
  std::int64_t slice_end(const NextTrial& next);
  void prune_hopeless();
  void note_rung(const Seat& seat, const Json& letter);
  void count_gpu_time(Seat& seat, Json& fields);
  void look_at_budget();
  bool adopt_result(const NextTrial& next, const TrialFiles& files, const std::string& recipe_hash);
  void take_end(int rank, const Json& letter);
  void begin_leave(const std::string& reason, ExitCode code);
  ExitCode code_of_leave() const;
  void leave_if_idle();
  void leave_for_lack_of_time(double left_s);
  void beat();
  void close_when_over();
  void close(ExitCode code);
  void show_progress();
  void say_who_has_the_rest();

  Ranks& ranks_;
  SweepStart& start_;
  Sweep& sweep_;
  DurableJournal& journal_;
  Owner owner_;
  std::vector<std::string> hosts_;
  int threads_;
  SweepProgress& progress_;
  CoordinatorTimes times_;
  const Clock& clock_;
  std::vector<Seat> seats_;
  std::map<std::int64_t, RunningTrial> running_;
  std::deque<Pending> pending_;
  TimeLeft& time_left_;
  SliceForecast forecast_;
  bool leaving_ = false;
  bool draining_ = false;  ///< no new trials: `regatta stop --drain`
  std::string spent_;      ///< which budget is used up: no new trials, running ones pause
  ExitCode leave_code_ = ExitCode::kRequeue;
  bool started_ = false;
  bool gained_ = false;  ///< a checkpoint or a finished trial more than at the start
  bool closed_ = false;
  double leave_s_ = 0.0;
  double beat_s_;
  double alive_s_ = -1e9;
  double looked_s_ = -1e9;
  double said_s_ = -1e9;
  double worked_s_;      ///< when a rank last had a trial
  bool changed_ = true;  ///< something may be claimable that was not
};

}  // namespace regatta
