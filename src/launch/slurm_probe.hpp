// Asks Slurm whether it still knows a job, for the owners of claims that have fallen silent.
#pragma once

#include <set>
#include <string>

#include "regatta/sweep/claims.hpp"

namespace regatta {

class SlurmProbe final : public JobProbe {
 public:
  explicit SlurmProbe(const Clock& clock = system_clock()) : clock_(clock) {}

  /// kListed: it runs, or is not quite at its end; a requeued job that waits is not. kUnknown for jobs of no Slurm,
  /// where there is no squeue, and while the controller does not answer. One squeue a minute at most, which lists all
  /// jobs: asking for a single one fails in the same way for "gone" and for "no answer".
  JobListing look_up(const JobPlace& place) override;

 private:
  void ask();

  const Clock& clock_;
  double asked_s_ = -1e9;
  bool answered_ = false;
  std::set<std::string> jobs_;
};

}  // namespace regatta
