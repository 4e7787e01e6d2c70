// How long this job may still work before it has to save and leave: from Slurm, or from the time that the user gave.
#pragma once

#include <optional>
#include <string>

#include "regatta/base/clock.hpp"
#include "regatta/sweep/journal.hpp"

namespace regatta {

class TimeLeft {
 public:
  virtual ~TimeLeft() = default;

  /// Until the job is to leave; negative after that. Nothing: there is no limit that we know of.
  virtual std::optional<double> seconds() = 0;

  /// Of a job from its start until it is to leave; nothing where that is not known.
  virtual std::optional<double> whole_s() { return std::nullopt; }

  /// Slurm's time limit of the job, if there is one.
  virtual std::optional<double> limit_s() { return std::nullopt; }
};

class NoTimeLimit final : public TimeLeft {
 public:
  std::optional<double> seconds() override { return std::nullopt; }
};

/// So many seconds from now on.
class FixedTimeLeft final : public TimeLeft {
 public:
  explicit FixedTimeLeft(double limit_s, const Clock& clock = system_clock())
      : clock_(clock), end_s_(clock.monotonic_s() + limit_s) {}

  std::optional<double> seconds() override { return end_s_ - clock_.monotonic_s(); }

 private:
  const Clock& clock_;
  double end_s_;
};

/// Slurm's time limit less the lead of the signal that comes before it. Asks squeue every few minutes, since limits are
/// changed while jobs run; where squeue does not answer the environment's SLURM_JOB_END_TIME counts.
class SlurmTimeLeft final : public TimeLeft {
 public:
  /// @param lead_s  how long before the limit the job is signalled (REGATTA_SIGNAL_S of slurm/sweep.sbatch)
  SlurmTimeLeft(JobPlace place, double lead_s, const Clock& clock = system_clock());

  std::optional<double> seconds() override;
  std::optional<double> whole_s() override;
  std::optional<double> limit_s() override;

 private:
  void ask_if_due();
  void ask();
  bool take_answer(const std::string& answer, double now_s);

  JobPlace place_;
  double lead_s_;
  const Clock& clock_;
  std::optional<double> end_s_;    ///< on the monotonic clock
  std::optional<double> limit_s_;  ///< Slurm's limit
  double asked_s_ = -1e9;
};

/// How long before its limit a job of slurm/sweep.sbatch is signalled: REGATTA_SIGNAL_S, else 300.
/// @throws ConfigError if that is no number
double signal_lead_s();

}  // namespace regatta
