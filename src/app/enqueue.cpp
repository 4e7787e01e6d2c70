// `regatta enqueue SWEEP AXIS=VALUE...`: a point that a person wants tried next.
#include <iostream>

#include "app/command.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/next_command.hpp"
#include "regatta/sweep/steer.hpp"

namespace regatta::app {
namespace {

class EnqueueCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("sweep", sweep_, "the sweep's directory")->required();
    app.add_option("point", point_,
                   "AXIS=VALUE, for example /optim/lr=0.0003; axes that are left out keep the recipe's value");
    // For tests: stands in for regatta-engine.
    app.add_option("--worker", worker_, "program that describes")->envname("REGATTA_WORKER")->hidden();
  }

  ExitCode run() override {
    Json given = Json::object();
    for (const std::string& text : point_) {
      REGATTA_REQUIRE(text.starts_with('/') && text.find('=') != std::string::npos, ConfigError, "enqueue: '",
                      one_line(text, 80), "': expected AXIS=VALUE, for example /optim/lr=0.0003");
      REGATTA_REQUIRE(!given.contains(parse_setting(text).pointer), ConfigError, "enqueue: ", one_line(text, 80),
                      ": the axis is given twice");
      const Setting setting = parse_setting(text);
      given[setting.pointer] = setting.value;
    }
    ProgramDescriber describer(worker_.empty() ? program_path(Program::kEngine) : worker_);
    const SweepFiles files{sweep_};
    const EnqueuedPoint enqueued = order_enqueue(files, given, describer);
    std::cout << trial_name(enqueued.first);
    if (enqueued.trials > 1) {
      std::cout << " to " << trial_name(enqueued.first + enqueued.trials - 1);
    }
    std::cout << " (" << point_text(enqueued.point, Space(read_definition(files).job).axes())
              << "): to be tried next\na job that is at work on the sweep takes "
              << (enqueued.trials > 1 ? "them" : "it") << " up; without one: " << next_command(files) << std::endl;
    return ExitCode::kOk;
  }

 private:
  std::string sweep_;
  std::vector<std::string> point_;
  std::string worker_;
};

}  // namespace

std::unique_ptr<Command> make_enqueue() {
  return std::make_unique<EnqueueCommand>();
}

}  // namespace regatta::app
