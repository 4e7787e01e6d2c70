// `regatta stop SWEEP`: all jobs of a sweep save and leave.
#include <iostream>

#include "app/command.hpp"
#include "regatta/sweep/next_command.hpp"
#include "regatta/sweep/steer.hpp"

namespace regatta::app {
namespace {

class StopCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_flag("--drain", drain_, "let running trials finish; start no new ones");
  }

  ExitCode run() override {
    const SweepFiles files{sweep_};
    const StopOrder order = order_stop(files, drain_);
    for (const std::string& place : order.running) {
      std::cout << place
                << (drain_ ? ": leaves when its trials have ended\n"
                           : ": saves its trials and leaves within seconds\n");
    }
    if (order.running.empty()) {
      std::cout << "no job is at work on it\n";
    }
    if (!order.jobs.empty()) {
      std::cout << "Slurm jobs that end at once if they start (again): " << join(order.jobs, ", ") << '\n';
    }
    if (!order.finished) {
      std::cout << "to continue later: " << next_command(files) << '\n';
    }
    std::cout << std::flush;
    return ExitCode::kOk;
  }

 private:
  std::string sweep_;
  bool drain_ = false;
};

}  // namespace

std::unique_ptr<Command> make_stop() {
  return std::make_unique<StopCommand>();
}

}  // namespace regatta::app
