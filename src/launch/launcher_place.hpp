// Who started this process, read from the environment alone, before MPI_Init.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace regatta {

enum class Launcher { kNone, kMpirun, kSrun };

struct LauncherPlace {
  Launcher launcher = Launcher::kNone;
  int rank = 0;
  int tasks = 1;  ///< as the launcher says; 0: it does not
};

using EnvironmentLookup = std::function<std::optional<std::string>(const char*)>;

/// The process's own environment.
std::optional<std::string> environment_variable(const char* name);

/// mpirun: OMPI_COMM_WORLD_*; srun: PMIX_RANK or PMI_RANK with the step's number of tasks; otherwise none. The order
/// matters: mpirun inside sbatch leaves Slurm variables that belong to its daemons.
/// @throws ConfigError inside a step of several tasks without PMI, where every process would be rank 0 of 1
LauncherPlace find_launcher(const EnvironmentLookup& lookup = environment_variable);

/// @throws ConfigError if MPI shows other ranks than the launcher's tasks
void check_world(const LauncherPlace& place, int world_size);

}  // namespace regatta
