// `regatta plan JOB`: every trial of a job before anything is queued. Asks `regatta-engine describe` about the
// networks.
#include <iostream>

#include "app/command.hpp"
#include "app/size_option.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/sweep/plan_table.hpp"

namespace regatta::app {
namespace {

class PlanCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("job", job_, "the job file");
    app.add_option("--set", settings_, "POINTER=VALUE into the recipe, for example /train/epochs=10; may be repeated")
        ->allow_extra_args(false);
    app.add_flag("--json", json_, "print JSON, with every resolved recipe");
    app.add_flag("--models", models_, "list the networks instead: parameters, multiplications-and-additions, memory");
    app.add_option("--size", size_, "with --models: DxHxW of the volumes")->capture_default_str();
  }

  ExitCode run() override {
    const std::string engine = program_path(Program::kEngine);
    if (models_) {
      shape_from(size_);
      const Json answer =
          parse_json(run_program_for_text({engine, "describe", "--models", "--size", size_}, ""), "describe --models");
      std::cout << (json_ ? dump_pretty(answer) : models_text(answer)) << std::flush;
      return ExitCode::kOk;
    }
    REGATTA_REQUIRE(!job_.empty(), ConfigError, "plan: give a job file, or --models");
    JobOptions job = read_job(job_);
    apply_settings(job, settings_);
    ProgramDescriber describer(engine);
    const SweepDefinition definition = define_sweep(job, describer);
    const auto plans = plan_trials(definition, 0, definition.trials, describer);
    std::cout << (json_ ? dump_pretty(plan_json(definition, plans)) : plan_text(definition, plans)) << std::flush;
    return ExitCode::kOk;
  }

 private:
  std::string job_;
  std::vector<std::string> settings_;
  bool json_ = false;
  bool models_ = false;
  std::string size_ = kPublishedSize;
};

}  // namespace

std::unique_ptr<Command> make_plan() {
  return std::make_unique<PlanCommand>();
}

}  // namespace regatta::app
