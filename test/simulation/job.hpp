// One job of the simulated cluster: the program's own Coordinator, Sweep, JournalWriter and SweepState over simulated
// files, clock and letters. Its supervisors and children are played here by the rules of launch/supervisor.cpp: a
// child saves when told to leave, and all stop when nothing has been durable for two minutes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launch/coordinator.hpp"
#include "world.hpp"

namespace regatta::simulation {

/// Steps of every trial; its time is in the step.
inline constexpr std::int64_t kSteps = 1000;
inline constexpr std::int64_t kStepsPerEpoch = 10;

class Job {
 public:
  Job(World& world, int number);
  ~Job();

  void handle(const Event& event);

 private:
  struct Life;
  struct Child {
    enum class Next { kFirstStep, kReport, kCheckpoint, kFail, kDiverge, kRung, kEnd, kKilled, kSaved };
    std::int64_t trial = -1;  ///< none
    int attempt = 0;
    bool training = false;  ///< its first step has come
    std::int64_t step = 0;  ///< at `since_s`
    double since_s = 0.0;
    double step_s = 0.0;
    double killed_s = 0.0;      ///< when somebody kills it
    std::int64_t fails_at = 0;  ///< 0: never
    std::int64_t saved = 0;     ///< step of the newest checkpoint
    int reported = 0;
    std::int64_t until = 0;  ///< step of the rung at which its slice ends; 0: at the trial's end
    Next next = Next::kFirstStep;
    std::int64_t next_step = 0;
    std::uint64_t ticket = 0;  ///< of its next event
  };
  struct Rank {
    Child child;
    bool leaving = false;
  };

  void start();
  void ready();
  void step();
  void commit();
  void time_is_up();
  void deliver();
  void step_by(double time_s);
  void tell(int rank, const std::string& type, const Json& fields);
  void begin_child(int rank, const Json& letter);
  void plan_child(int rank);
  void plan_child(int rank, Child::Next next, std::int64_t step, double time_s);
  void child_event(int rank);
  void report(int rank);
  void save(int rank);
  void end_child(int rank, const std::string& status, const Json& result = nullptr);
  void leave(int rank);
  void die(bool same_job);
  void end();
  void close_life();
  void start_again(bool same_job);
  std::string queue_name() const;
  std::uint64_t id() const { return static_cast<std::uint64_t>(number_); }
  std::uint64_t view() const { return id() << 16 | lives_; }

  World& world_;
  int number_;
  int submission_ = 0;  ///< the job's number is new with each
  int restart_ = 0;
  std::uint64_t lives_ = 0;
  std::uint64_t tickets_ = 0;
  double started_s_ = 0.0;
  std::unique_ptr<Life> life_;
};

}  // namespace regatta::simulation
