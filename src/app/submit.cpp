// `regatta submit JOB`: checks the job as `regatta plan` does, then puts it into the queue of a Slurm cluster.
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/launch/submission.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/given_job.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/next_command.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr int kMostJobs = 1000;
constexpr std::size_t kBestShown = 20;  ///< of the leaderboard

void print_submitted(const SubmissionPlan& plan, const SubmittedJobs& done) {
  const std::string root = shell_quote(plan.files.root.string());
  const std::string each =
      plan.nodes_of_a_job > 1 ? str("one job of ", plan.nodes_of_a_job, " nodes") : std::string("one node");
  std::cout << "sweep   " << plan.files.root.string() << "\njobs    " << join(done.jobs, " ") << "  ("
            << (plan.array > 1 ? str("array of ", plan.array, ", one node each") : each) << ", " << plan.time
            << (plan.chain > 1 ? ", each after the one before"
                : plan.requeue ? ", requeue themselves"
                               : "")
            << ")\n";
  if (!done.collect.empty()) {
    std::cout << "report  " << done.collect << "  (when all others have ended)\n";
  }
  if (!plan.requeue && plan.chain == 1) {
    std::cout
        << "note    jobs of this cluster do not requeue themselves: after the time limit the same command continues "
           "the sweep; --chain K puts K jobs into the queue at once\n";
  }
  std::cout << "\nstatus  regatta status " << root << "\nlogs    regatta logs " << root << " TRIAL, and " << root
            << "/slurm/*.log\nqueue   squeue --job " << join(done.jobs, ",") << "\nstop    regatta stop " << root
            << std::endl;
}

/// What the job asks for beyond what its sweep has is there before the jobs are. A folder asks for nothing more.
/// @return whether all trials have ended
bool open_and_extend(const SweepFiles& files, const GivenJob& given, const SweepDefinition& definition,
                     Describer& describer) {
  OpenedSweep opened = create_or_open(files, definition);
  SweepState state(rules_of(opened.definition));
  JournalReader reader(files.journal());
  std::vector<std::string> said = definition.notes;
  const auto read_state = [&]() -> const SweepState& {
    state.apply(reader.poll());
    return state;
  };
  const std::vector<std::string> lent = lend_histories(files, opened.definition, read_state());
  said.insert(said.end(), lent.begin(), lent.end());
  extend_sweep(files, std::move(opened), read_state, describer, said);
  for (const std::string& line : given.sweep ? std::vector<std::string>() : said) {
    log_info(line);
  }
  return read_state().finished();
}

class SubmitCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("job", options_.job, "job file, or the folder of a sweep to continue it")->required();
    app.add_option("sweep_options", options_.sweep_options, "after --: options of `regatta sweep`");
    app.add_option("-o,--output", options_.directory, "the sweep's directory (default: runs/NAME)");
    app.add_option("--nodes", options_.nodes, "N one-node jobs, which work on the sweep together")
        ->range(1, kMostJobs)
        ->capture_default_str();
    app.add_flag("--single-job", options_.single_job, "one job of N nodes instead");
    app.add_option("--chain", options_.chain,
                   "N jobs one after the other, for clusters where jobs may not requeue themselves")
        ->range(1, kMostJobs);
    app.add_option("--time", options_.time,
                   "time limit of a job: minutes, 90min, 12h, HH:MM:SS, D-HH (default: the script's, 12:00:00)");
    app.add_option("--site", options_.site, "the cluster's profile: NAME of env/NAME.sh, or a path")
        ->envname("REGATTA_SITE");
    app.add_option("--account", options_.account, "as sbatch");
    app.add_option("--qos", options_.qos, "as sbatch");
    app.add_option("--partition", options_.partition, "as sbatch");
    app.add_option("--constraint", options_.constraint, "as sbatch");
    app.add_option("--mem", options_.mem, "as sbatch");
    app.add_option("--gpus-per-node", options_.gpus_per_node, "GPUs per node, one rank each (default: the site's, 4)")
        ->range(1, 64);
    app.add_option("--cpus-per-gpu", options_.cpus_per_gpu, "processors per rank (default: the site's, 8)")
        ->range(1, 1024);
    app.add_option("--signal-s", options_.signal_s,
                   "seconds before the time limit at which trials save (default: the site's, 300)")
        ->range(1, 86400);
    app.add_option("--sbatch", options_.sbatch, "another option of sbatch: --sbatch=--exclusive; may be repeated")
        ->allow_extra_args(false);
    app.add_option("--set", options_.settings, "POINTER=VALUE over the base recipe; may be repeated")
        ->allow_extra_args(false);
    app.add_flag("--no-collect", no_collect_, "submit no job that writes the report at the end");
    app.add_flag("--print", print_, "print the script and the commands, and submit nothing");
    // For tests: stands in for regatta-engine, here and in the jobs.
    app.add_option("--worker", worker_, "program that describes")->envname("REGATTA_WORKER")->hidden();
  }

  ExitCode run() override {
    check_sweep_options();
    options_.collect = !no_collect_;
    GivenJob given = read_given_job(options_.job);
    const SweepFiles files = files_of(given, options_.directory);
    options_.directory = files.root;
    const fs::path home = fs::path(program_path(Program::kRegatta)).parent_path().parent_path();
    SubmissionPlan plan = plan_submission(options_, given.job.name, home);
    apply_settings(given.job, options_.settings, !fs::exists(files.job()));
    if (print_) {
      remember_command(plan, options_, true);
      std::cout << submission_text(plan) << std::flush;
      return ExitCode::kOk;
    }
    ProgramDescriber describer(worker_.empty() ? program_path(Program::kEngine) : worker_);
    const SweepDefinition definition = define_sweep(given.job, describer);
    plan_trials(definition, 0, definition.trials, describer);
    if (open_and_extend(files, given, definition, describer)) {
      std::cout << "all trials of this sweep have ended: nothing was queued\n\n";
      print_leaderboard(std::cout, read_report({files.root}), kBestShown);
      std::cout << "full report: regatta collect " << shell_quote(files.root.string()) << std::endl;
      return ExitCode::kOk;
    }
    remember_command(plan, options_, is_as_born(files, definition));
    print_submitted(plan, submit_jobs(plan));
    return ExitCode::kOk;
  }

 private:
  /// What this command decides itself must not be decided again there.
  void check_sweep_options() const {
    for (const std::string& word : options_.sweep_options) {
      for (const char* ours : {"-o", "--output", "--set"}) {
        REGATTA_REQUIRE(word != ours && !word.starts_with(str(ours, "=")), ConfigError, "submit: give ", ours,
                        " before --");
      }
    }
    REGATTA_REQUIRE(options_.sweep_options.empty() || options_.sweep_options.front().starts_with("-"), ConfigError,
                    "submit: '", one_line(options_.sweep_options.front(), 60),
                    "': after the job only options of `regatta sweep`, behind --");
  }

  SubmitOptions options_;
  bool no_collect_ = false;
  bool print_ = false;
  std::string worker_;
};

}  // namespace

std::unique_ptr<Command> make_submit() {
  return std::make_unique<SubmitCommand>();
}

}  // namespace regatta::app
