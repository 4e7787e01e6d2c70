// Telling mpirun, srun and neither apart.
#include "launch/launcher_place.hpp"

#include <map>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

EnvironmentLookup lookup(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST_CASE("mpirun, srun with PMI and neither are told apart by the environment") {
  const LauncherPlace alone = find_launcher(lookup({}));
  CHECK(alone.launcher == Launcher::kNone);

  // mpirun on the second node of a Slurm job: the Slurm variables are those of mpirun's daemon.
  const LauncherPlace mpirun = find_launcher(lookup({{"OMPI_COMM_WORLD_SIZE", "8"},
                                                     {"OMPI_COMM_WORLD_RANK", "5"},
                                                     {"SLURM_STEP_ID", "0"},
                                                     {"SLURM_NTASKS", "1"},
                                                     {"PMIX_RANK", "5"}}));
  CHECK(mpirun.launcher == Launcher::kMpirun);
  CHECK(mpirun.rank == 5);
  CHECK(mpirun.tasks == 8);

  const LauncherPlace srun = find_launcher(
      lookup({{"SLURM_STEP_ID", "2"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_NTASKS", "8"}, {"PMIX_RANK", "3"}}));
  CHECK(srun.launcher == Launcher::kSrun);
  CHECK(srun.rank == 3);
  CHECK(srun.tasks == 4);

  // The batch shell of a job has tasks, but is no step.
  CHECK(find_launcher(lookup({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}})).launcher == Launcher::kNone);
}

TEST_CASE("a step whose tasks MPI does not connect is refused, with what to do") {
  CHECK_THROWS_AS(find_launcher(lookup({{"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "8"}})), ConfigError);
  CHECK_THROWS_WITH(find_launcher(lookup({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}})),
                    Catch::Contains("4 tasks") && Catch::Contains("srun --mpi=pmix"));
  CHECK_NOTHROW(find_launcher(lookup({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}})));
  CHECK_THROWS_WITH(check_world({Launcher::kSrun, 0, 8}, 1),
                    Catch::Contains("MPI shows 1 ranks") && Catch::Contains("8 tasks"));
  CHECK_NOTHROW(check_world({Launcher::kSrun, 0, 8}, 8));
  CHECK_NOTHROW(check_world({Launcher::kSrun, 0, 0}, 8));
}

}  // namespace
}  // namespace regatta
