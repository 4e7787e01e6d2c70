// The variables that mpirun, srun and Slurm set.
#include "launch/launcher_place.hpp"

#include <cstdlib>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

int number_in(const std::optional<std::string>& text, int otherwise) {
  const bool is_number =
      text && !text->empty() && text->size() < 9 && text->find_first_not_of("0123456789") == std::string::npos;
  return is_number ? std::stoi(*text) : otherwise;
}

constexpr const char* kHowToStart =
    "start with `srun --mpi=pmix` (`srun --mpi=list` shows what there is), with mpirun, or here with --ranks N";

}  // namespace

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

LauncherPlace find_launcher(const EnvironmentLookup& lookup) {
  if (const auto size = lookup("OMPI_COMM_WORLD_SIZE")) {
    return {Launcher::kMpirun, number_in(lookup("OMPI_COMM_WORLD_RANK"), 0), number_in(size, 0)};
  }
  const bool in_step = lookup("SLURM_STEP_ID").has_value();
  const auto step_tasks = lookup("SLURM_STEP_NUM_TASKS");
  const int tasks = in_step ? number_in(step_tasks ? step_tasks : lookup("SLURM_NTASKS"), 0) : 0;
  const auto pmix = lookup("PMIX_RANK");
  const auto rank = pmix ? pmix : lookup("PMI_RANK");
  if (rank) {
    return {Launcher::kSrun, number_in(rank, 0), tasks};
  }
  REGATTA_REQUIRE(tasks <= 1, ConfigError, "sweep: this Slurm step has ", tasks,
                  " tasks, but no MPI connects them, so that each would be rank 0 of 1: ", kHowToStart);
  return {};
}

void check_world(const LauncherPlace& place, int world_size) {
  REGATTA_REQUIRE(place.tasks == 0 || place.tasks == world_size, ConfigError, "sweep: MPI shows ", world_size,
                  " ranks, but the launcher started ", place.tasks, " tasks: ", kHowToStart);
}

}  // namespace regatta
