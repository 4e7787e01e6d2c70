// `regatta sweep JOB`: runs or resumes a sweep, as one of the ranks that mpirun or srun started, alone, or by starting
// ranks here.
#include <cstdlib>
#include <iostream>

#include "app/command.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/launch/sweep_run.hpp"
#include "regatta/report/collect.hpp"

namespace regatta::app {
namespace {

constexpr std::size_t kRows = 20;

void show_end(const SweepEnd& end) {
  if (end.finished) {
    print_leaderboard(std::cout, read_report({end.directory}), kRows);
    std::cout << "full report: regatta collect " << shell_quote(end.directory.string()) << std::endl;
  } else if (!end.spent.empty()) {
    print_leaderboard(std::cout, read_report({end.directory}), kRows);
    std::cout << "budget reached: " << end.spent << "; to continue, raise it in the job file and give the same command"
              << std::endl;
  } else {
    const bool comes_back = std::getenv("REGATTA_BATCH") != nullptr;  // slurm/sweep.sbatch requeues itself
    std::cout << (end.started ? "saved" : "no trial was started")
              << (comes_back ? "; continues when the job runs again, or with: " : "; to continue: ") << end.next_command
              << std::endl;
  }
}

class SweepCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("job", job_, "job file, or the folder of a sweep to continue it")->required();
    app.add_option("-o,--output", output_, "the sweep's directory (default: runs/NAME)");
    app.add_option("--ranks", ranks_, "start N ranks on this machine; each trains one trial at a time")->range(1, 4096);
    app.add_option("--set", settings_, "POINTER=VALUE over the base recipe, for example /optim/lr=0.001");
    app.add_option("--device", device_, "device: auto, cpu or cuda (default: the recipe's /run/device)")
        ->one_of({"auto", "cpu", "cuda"});
    app.add_option("--threads", threads_,
                   "CPU threads of a trial (default: the job's, else a rank's share of the processors)")
        ->range(1, 1024);
    app.add_option("--leave-after", leave_after_,
                   "save and leave after this time: 90min, 12h, HH:MM:SS (default: at Slurm's limit)");
    // For tests: waiting times as JSON (include/regatta/launch/sweep_times.hpp).
    app.add_option("--times", times_)->hidden();
    // For tests: stands in for regatta-engine, both as `worker` and as `describe`.
    app.add_option("--worker", worker_, "program that trains")->envname("REGATTA_WORKER")->hidden();
  }

  ExitCode run() override {
    if (ranks_ > 1 && !is_under_launcher()) {
      return run_under_mpirun(ranks_, arguments_of_a_rank());
    }
    SweepRun run;
    run.job = job_;
    run.directory = output_;
    run.settings = settings_;
    run.device = device_;
    run.threads = threads_;
    run.ranks = ranks_;
    if (!times_.empty()) {
      read_options(parse_json(times_, "--times"), run.times);
    }
    run.leave_after_s = leave_after_.empty() ? 0.0 : leave_after_s(leave_after_, run.times);
    run.worker = worker_.empty() ? program_path(Program::kEngine) : worker_;
    return run_sweep(run, show_end);
  }

 private:
  std::vector<std::string> arguments_of_a_rank() const {
    std::vector<std::string> arguments = {program_path(Program::kLaunch), "sweep", job_};
    const auto add = [&arguments](const char* name, const std::string& value) {
      if (!value.empty()) {
        arguments.insert(arguments.end(), {name, value});
      }
    };
    add("-o", output_);
    for (const std::string& setting : settings_) {
      add("--set", setting);
    }
    add("--ranks", ranks_ > 0 ? str(ranks_) : "");
    add("--device", device_);
    add("--threads", threads_ > 0 ? str(threads_) : "");
    add("--leave-after", leave_after_);
    add("--times", times_);
    add("--worker", worker_);
    return arguments;
  }

  std::string job_;
  std::string output_;
  int ranks_ = 0;
  std::vector<std::string> settings_;
  std::string device_;
  int threads_ = 0;
  std::string leave_after_;
  std::string times_;
  std::string worker_;
};

}  // namespace

std::unique_ptr<Command> make_sweep() {
  return std::make_unique<SweepCommand>();
}

}  // namespace regatta::app
