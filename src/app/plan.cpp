// `regatta plan JOB`: every trial of a job before anything is queued. Asks `regatta-engine describe` about the
// networks.
#include <iostream>
#include <map>
#include <optional>
#include <set>

#include "app/command.hpp"
#include "app/size_option.hpp"
#include "regatta/base/run_program.hpp"
#include "regatta/sweep/given_job.hpp"
#include "regatta/sweep/plan_table.hpp"

namespace regatta::app {
namespace {

constexpr int kMeasuredSteps = 5;

class PlanCommand : public Command {
 public:
  void declare(Arguments& app) override {
    app.add_option("job", job_, "job file, or the folder of a sweep");
    app.add_option("--set", settings_, "POINTER=VALUE into the recipe, for example /train/epochs=10; may be repeated")
        ->allow_extra_args(false);
    app.add_flag("--measure", measure_,
                 "train a few steps of each kind of trial on this machine, to forecast the time of all");
    app.add_option("--measure-steps", measure_steps_, "timed steps of --measure (default: 5)")->range(1, 1000);
    app.add_option("--bench", bench_, "forecast the time from this file of `regatta bench networks` instead");
    app.add_flag("--json", json_, "print JSON, with every resolved recipe");
    app.add_flag("--models", models_, "list the networks instead: parameters, multiplications-and-additions, memory");
    app.add_option("--size", size_, "with --models: size of the volumes, DxHxW")->capture_default_str();
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
    JobOptions job = read_given_job(job_).job;
    apply_settings(job, settings_);
    ProgramDescriber describer(engine);
    const SweepDefinition definition = define_sweep(job, describer);
    const auto plans = plan_trials(definition, 0, definition.trials, describer);
    const auto time = forecast_time(plans);
    std::cout << (json_ ? dump_pretty(plan_json(definition, plans, time)) : plan_text(definition, plans, time))
              << std::flush;
    return ExitCode::kOk;
  }

 private:
  std::optional<PlanTime> forecast_time(const std::vector<TrialPlan>& plans) const {
    const bool measure = measure_ || measure_steps_ > 0;
    REGATTA_REQUIRE(!measure || bench_.empty(), ConfigError, "plan: give --measure or --bench, not both");
    if (measure) {
      return measured_time(plans, measure_steps_ > 0 ? measure_steps_ : kMeasuredSteps);
    }
    if (bench_.empty()) {
      return std::nullopt;
    }
    return time_from_bench(read_json(bench_), bench_, plans);
  }

  /// Of each kind of trial one is measured; the others of its kind take as long per step.
  static PlanTime measured_time(const std::vector<TrialPlan>& plans, int steps) {
    std::map<std::string, std::size_t> kinds;  // by hash of the key
    Json recipes = Json::array();
    for (const TrialPlan& plan : plans) {
      const std::string key = hash_json(cost_key(plan.description.resolved));
      if (kinds.try_emplace(key, recipes.size()).second) {
        recipes.push_back(plan.description.resolved);
      }
    }
    std::cerr << "measuring " << recipes.size() << (recipes.size() == 1 ? " kind" : " kinds") << " of trial, " << steps
              << " steps each" << std::endl;
    const std::string answer = run_program_for_text(
        {program_path(Program::kEngine), "describe", "--measure", str(steps)}, dump_line({{"recipes", recipes}}));
    const Json answers = parse_json(answer, "describe --measure").at("recipes");
    PlanTime time;
    time.source = str(steps, steps == 1 ? " step" : " steps", " measured here");
    std::set<std::string> failed;
    for (const TrialPlan& plan : plans) {
      const Json& kind = answers.at(kinds.at(hash_json(cost_key(plan.description.resolved))));
      if (kind.contains("error")) {
        failed.insert(kind.at("error").get<std::string>());
        time.trial_s.emplace_back();
        continue;
      }
      const Json& cost = kind.at("measured");
      time.device = cost.at("device").get<std::string>();
      time.trial_s.emplace_back(
          training_s(plan, {cost.at("step_ms").get<double>(), cost.at("validation_pair_ms").get<double>(),
                            cost.at("load_s").get<double>()}));
    }
    for (const std::string& error : failed) {
      time.notes.push_back("time: could not be measured: " + error);
    }
    return time;
  }

  std::string job_;
  std::vector<std::string> settings_;
  bool json_ = false;
  bool models_ = false;
  bool measure_ = false;
  int measure_steps_ = 0;
  std::string bench_;
  std::string size_ = kPublishedSize;
};

}  // namespace

std::unique_ptr<Command> make_plan() {
  return std::make_unique<PlanCommand>();
}

}  // namespace regatta::app
