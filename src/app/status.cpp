// `regatta status SWEEP`: how far it is.
#include <iostream>

#include "app/command.hpp"
#include "regatta/config/options.hpp"
#include "regatta/report/status.hpp"

namespace regatta::app {
namespace {

class StatusCommand : public Command {
 public:
  void declare(CLI::App& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_flag("--json", json_, "print JSON");
  }

  ExitCode run() override {
    const SweepStatus status = read_status(sweep_);
    std::cout << (json_ ? dump_pretty(to_json(status)) : status_text(status)) << std::flush;
    return ExitCode::kOk;
  }

 private:
  std::string sweep_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_status() {
  return std::make_unique<StatusCommand>();
}

}  // namespace regatta::app
