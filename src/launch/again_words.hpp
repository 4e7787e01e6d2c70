// How this job of a sweep was started, in the words that start another one: kept in the journal, printed at the end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/launcher_place.hpp"
#include "regatta/launch/sweep_run.hpp"

namespace regatta {

struct StartedAs {
  LauncherPlace place;
  int ranks = 1;
  bool as_born = true;            ///< the sweep's folder says all that the job file says
  std::optional<double> limit_s;  ///< Slurm's time limit of this job
};

/// Words of a command with `kFolderWord` for the sweep's folder: those of `regatta submit` in a job that it put into
/// the queue, or that was given to sbatch; else those of `regatta sweep`, behind mpirun or srun if these started the
/// ranks.
std::vector<std::string> again_words(const SweepRun& run, const StartedAs& how,
                                     const EnvironmentLookup& lookup = environment_variable);

}  // namespace regatta
