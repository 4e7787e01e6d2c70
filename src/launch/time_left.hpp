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

 private:
  std::optional<double> ask() const;

  JobPlace place_;
  double lead_s_;
  const Clock& clock_;
  std::optional<double> end_s_;  ///< on the monotonic clock
  double asked_s_ = -1e9;
};

}  // namespace regatta
