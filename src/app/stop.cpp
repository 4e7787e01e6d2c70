// `regatta stop SWEEP`: all jobs of a sweep save and leave.
#include <iostream>

#include "app/command.hpp"
#include "regatta/sweep/steer.hpp"

namespace regatta::app {
namespace {

class StopCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_flag("--drain", drain_, "let running trials end; only start no new ones");
  }

  ExitCode run() override {
    const StopOrder order = order_stop({sweep_}, drain_);
    for (const std::string& place : order.running) {
      std::cout << place << (drain_ ? ": leaves when its trials have ended\n" : ": saves and leaves within seconds\n");
    }
    if (order.running.empty()) {
      std::cout << "nobody works on it now\n";
    }
    if (!order.jobs.empty()) {
      std::cout << "these Slurm jobs leave at once if they start again: " << join(order.jobs, ", ") << '\n';
    }
    std::cout << "the command that submitted the sweep, given again, continues it" << std::endl;
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
