// How a job of a sweep was started, as words to start another.
#include "launch/again_words.hpp"

#include <map>

#include "regatta/base/error.hpp"
#include "regatta/sweep/next_command.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

/// The command that `run` gives in this environment, for a sweep in /s.
std::string command(const SweepRun& run, const StartedAs& how, const std::map<std::string, std::string>& environment) {
  const auto lookup = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  return command_text(again_words(run, how, lookup), "/s");
}

SweepRun run_of(const std::string& job, int ranks = 0) {
  SweepRun run;
  run.job = job;
  run.ranks = ranks;
  return run;
}

const LauncherPlace kMpirun = {Launcher::kMpirun, 0, 4};
const LauncherPlace kSrun = {Launcher::kSrun, 0, 8};

TEST_CASE("--ranks comes back in the command, and the launcher that the user chose does") {
  CHECK(command(run_of("/j.json", 4), {kMpirun, 4, true, {}}, {}) == "regatta sweep /s --ranks 4");
  CHECK(command(run_of("/j.json"), {kMpirun, 4, true, {}}, {}) == "mpirun -n 4 regatta sweep /s");
  CHECK(command(run_of("/j.json"), {kSrun, 8, true, {}}, {{"REGATTA_MPI", "pmi2"}}) ==
        "srun --mpi=pmi2 -n 8 regatta sweep /s");
  CHECK(command(run_of("/j.json"), {{}, 1, true, {}}, {}) == "regatta sweep /s");
}

TEST_CASE("options come back; settings only if the sweep's folder does not have them") {
  SweepRun run = run_of("/dev/null");
  run.device = "cpu";
  run.threads = 2;
  run.leave_after_s = 5400;
  run.settings = {"/run/log_every_s=9"};
  CHECK(command(run, {{}, 1, true, {}}, {}) == "regatta sweep /s --device cpu --threads 2 --leave-after 01:30:00");
  CHECK(command(run, {{}, 1, false, {}}, {}) ==
        "regatta sweep /dev/null -o /s --set /run/log_every_s=9 --device cpu --threads 2 --leave-after 01:30:00");
}

TEST_CASE("a job of `regatta submit` is continued by `regatta submit`, with its options") {
  CHECK(command(run_of("/j.json"), {kSrun, 8, true, {}},
                {{"REGATTA_BATCH", "1"}, {"REGATTA_AGAIN", R"(["regatta", "submit", "{}", "--nodes", "2"])"}}) ==
        "regatta submit /s --nodes 2");
}

TEST_CASE("a job of sbatch alone is continued by a `regatta submit` that asks for the same") {
  const std::map<std::string, std::string> batch = {{"REGATTA_BATCH", "1"},         {"SLURM_JOB_NUM_NODES", "2"},
                                                    {"SLURM_JOB_ACCOUNT", "abc"},   {"SLURM_JOB_PARTITION", "main"},
                                                    {"SLURM_NTASKS_PER_NODE", "4"}, {"SLURM_CPUS_PER_TASK", "8"},
                                                    {"REGATTA_SIGNAL_S", "300"}};
  CHECK(command(run_of("/j.json"), {kSrun, 8, true, 43200.0}, batch) ==
        "regatta submit /s --nodes 2 --single-job --time 12:00:00 --account abc --partition main --gpus-per-node 4 "
        "--cpus-per-gpu 8 --signal-s 300");
  std::map<std::string, std::string> array = {
      {"REGATTA_BATCH", "1"}, {"SLURM_JOB_NUM_NODES", "1"}, {"SLURM_ARRAY_TASK_COUNT", "3"}};
  SweepRun run = run_of("/j.json");
  run.threads = 4;
  CHECK(command(run, {kSrun, 4, true, {}}, array) == "regatta submit /s --nodes 3 -- --threads 4");
}

}  // namespace
}  // namespace regatta
