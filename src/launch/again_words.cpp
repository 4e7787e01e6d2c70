// From the environment and the command line back to a command.
#include "launch/again_words.hpp"

#include "regatta/base/duration.hpp"
#include "regatta/base/error.hpp"
#include "regatta/config/json.hpp"
#include "regatta/sweep/next_command.hpp"

namespace regatta {
namespace {

using Words = std::vector<std::string>;

void append(Words& words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
}

/// What `regatta submit` has left for its jobs; empty if it did not start this one.
Words words_of_submit(const EnvironmentLookup& lookup) {
  const auto text = lookup(kAgainVariable);
  if (!text) {
    return {};
  }
  const Json list = parse_json(*text, kAgainVariable);
  REGATTA_REQUIRE(list.is_array(), ConfigError, kAgainVariable,
                  ": expected a list of words, which `regatta submit` sets");
  Words words;
  for (const Json& word : list) {
    words.push_back(word.is_string() ? word.get<std::string>() : dump_line(word));
  }
  return words;
}

void append_settings(Words& words, const SweepRun& run, bool as_born) {
  for (const std::string& setting : as_born ? Words() : run.settings) {
    append(words, {"--set", setting});
  }
}

/// Options of `regatta sweep` alone.
void append_run_options(Words& words, const SweepRun& run) {
  if (!run.device.empty()) {
    append(words, {"--device", run.device});
  }
  if (run.threads > 0) {
    append(words, {"--threads", str(run.threads)});
  }
  if (run.leave_after_s > 0) {
    append(words, {"--leave-after", clock_text(run.leave_after_s)});
  }
}

/// The `regatta submit` that asks Slurm for what this job of slurm/sweep.sbatch has.
Words words_of_batch(const SweepRun& run, const StartedAs& how, const EnvironmentLookup& lookup) {
  Words words = {"regatta", "submit"};
  append(words, sweep_words(how.as_born, std::filesystem::absolute(run.job)));
  if (const auto tasks = lookup("SLURM_ARRAY_TASK_COUNT")) {
    append(words, {"--nodes", *tasks});
  } else if (const auto nodes = lookup("SLURM_JOB_NUM_NODES"); nodes && *nodes != "1") {
    append(words, {"--nodes", *nodes, "--single-job"});
  }
  if (how.limit_s) {
    append(words, {"--time", clock_text(*how.limit_s)});
  }
  for (const auto& [option, variable] :
       {std::pair("--site", "REGATTA_SITE"), std::pair("--account", "SLURM_JOB_ACCOUNT"),
        std::pair("--qos", "SLURM_JOB_QOS"), std::pair("--partition", "SLURM_JOB_PARTITION"),
        std::pair("--gpus-per-node", "SLURM_NTASKS_PER_NODE"), std::pair("--cpus-per-gpu", "SLURM_CPUS_PER_TASK"),
        std::pair("--signal-s", "REGATTA_SIGNAL_S")}) {
    if (const auto value = lookup(variable); value && !value->empty()) {
      append(words, {option, *value});
    }
  }
  append_settings(words, run, how.as_born);
  Words behind;
  append_run_options(behind, run);
  if (!behind.empty()) {
    words.emplace_back("--");
    append(words, behind);
  }
  return words;
}

}  // namespace

std::vector<std::string> again_words(const SweepRun& run, const StartedAs& how, const EnvironmentLookup& lookup) {
  if (Words words = words_of_submit(lookup); !words.empty()) {
    return words;
  }
  if (lookup("REGATTA_BATCH")) {
    return words_of_batch(run, how, lookup);
  }
  Words words;
  if (run.ranks == 0 && how.place.launcher == Launcher::kMpirun) {
    words = {"mpirun", "-n", str(how.ranks)};
  } else if (run.ranks == 0 && how.place.launcher == Launcher::kSrun) {
    words = {"srun", str("--mpi=", lookup("REGATTA_MPI").value_or("pmix")), "-n", str(how.ranks)};
  }
  append(words, {"regatta", "sweep"});
  append(words, sweep_words(how.as_born, std::filesystem::absolute(run.job)));
  if (run.ranks > 0) {
    append(words, {"--ranks", str(run.ranks)});
  }
  append_settings(words, run, how.as_born);
  append_run_options(words, run);
  return words;
}

}  // namespace regatta
