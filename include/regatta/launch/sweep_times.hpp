// The waiting times of a sweep's processes in one place. Users have no reason to change them; tests of what happens
// after minutes of silence do (hidden option --times of `regatta sweep`).
#pragma once

#include <algorithm>
#include <string>

#include "regatta/config/options.hpp"

namespace regatta {

struct SweepTimes {
  double heartbeat_s = 30.0;
  double stale_s = 300.0;
  double stale_without_squeue_s = 900.0;
  double stop_s = 120.0;
  double hang_first_s = 600.0;
  double hang_s = 60.0;
  double look_again_s = 2.0;
  double look_busy_s = 10.0;
  double idle_leave_s = 900.0;
  double start_s = 10.0;
  double signal_early_s = 60.0;
  double load_s = 20.0;
  double save_s = 10.0;
  double least_work_s = 60.0;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("heartbeat_s", s.heartbeat_s, "a coordinator appends a heartbeat to its journal this often", at_least(0.1));
    v("stale_s", s.stale_s, "silence after which a writer that squeue does not list is gone", at_least(0.1));
    v("stale_without_squeue_s", s.stale_without_squeue_s, "the same where there is no squeue to ask", at_least(0.1));
    v("stop_s", s.stop_s, "a rank whose journal could not be made durable for so long stops its child", at_least(0.1));
    v("hang_first_s", s.hang_first_s, "silence of a child that counts as hung, before its first step", at_least(0.1));
    v("hang_s", s.hang_s, "the same later, at least; also 20 times its median step", at_least(0.1));
    v("look_again_s", s.look_again_s, "idle ranks look at the journal this often", at_least(0.01));
    v("look_busy_s", s.look_busy_s, "the same while all ranks work", at_least(0.01));
    v("idle_leave_s", s.idle_leave_s, "a job of which no rank has found work for so long leaves", at_least(0.1));
    v("start_s", s.start_s, "from the start of a Slurm job until its ranks can begin a trial", at_least(0.0));
    v("signal_early_s", s.signal_early_s, "Slurm may tell a job to leave so long before it should", at_least(0.0));
    v("load_s", s.load_s, "how long a trial loads, as long as none has been seen", at_least(0.0));
    v("save_s", s.save_s, "how long a save takes, as long as none has been seen", at_least(0.0));
    v("least_work_s", s.least_work_s, "shortest useful slice of a trial at the end of a job", at_least(0.0));
  }
};

/// Seconds that a job must have left so that a trial may begin in it, as long as nothing has been seen of its trials:
/// loading, some work, a save.
inline double least_slice_s(const SweepTimes& times) {
  return times.load_s + std::max(times.least_work_s, times.load_s) + times.save_s;
}

/// "20 s to load, 60 s of work and 10 s to save"
std::string least_slice_text(const SweepTimes& times);

/// Of `--leave-after`. @throws ConfigError if it is no duration, or shorter than a trial needs to begin
double leave_after_s(const std::string& text, const SweepTimes& times);

}  // namespace regatta
