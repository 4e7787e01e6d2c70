// `regatta retry SWEEP`: failed trials get another chance.
#include <iostream>

#include "app/command.hpp"
#include "app/trial_argument.hpp"
#include "regatta/sweep/next_command.hpp"
#include "regatta/sweep/steer.hpp"

namespace regatta::app {
namespace {

class RetryCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_option("trials", trials_, "trials that ended without weights: 42 or t00042");
    app.add_flag("--failed", failed_, "all trials that failed (diverged, infeasible, failed, quarantined)");
  }

  ExitCode run() override {
    REGATTA_REQUIRE(failed_ != !trials_.empty(), ConfigError, "retry: name trials, or give --failed");
    std::vector<std::int64_t> numbers;
    for (const std::string& text : trials_) {
      numbers.push_back(trial_number(text));
    }
    const SweepFiles files{sweep_};
    const auto again = order_retry(files, numbers);
    if (again.empty()) {
      std::cout << "no trial has failed: nothing to try again" << std::endl;
      return ExitCode::kOk;
    }
    for (const RetriedTrial& trial : again) {
      std::cout << trial_name(trial.number) << ": to be tried again, from "
                << (trial.step > 0 ? str("its checkpoint of step ", trial.step) : std::string("the beginning")) << '\n';
    }
    std::cout << "a job that is at work on the sweep takes them up; without one: " << next_command(files) << std::endl;
    return ExitCode::kOk;
  }

 private:
  std::string sweep_;
  std::vector<std::string> trials_;
  bool failed_ = false;
};

}  // namespace

std::unique_ptr<Command> make_retry() {
  return std::make_unique<RetryCommand>();
}

}  // namespace regatta::app
