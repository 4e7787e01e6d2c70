// The trials of a sweep as they will run: resolved, described, written beside their results.
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

/// What can be compared without knowing the plug-ins: everything but their options, which the recipe hash covers, and
/// the length of the training.
Json comparable(const Json& recipe, const std::string& source) {
  Recipe read = recipe_from_json(recipe, source);
  read.model.options = Json::object();
  for (auto& [name, term] : read.losses) {
    term.options = Json::object();
  }
  Json identity = identity_of(read);
  identity["epochs"] = read.train.epochs;
  identity["steps"] = read.train.steps;
  return identity;
}

}  // namespace

std::vector<TrialPlan> plan_trials(const SweepDefinition& definition, std::int64_t first, std::int64_t count,
                                   Describer& describer) {
  const Space space(definition.job);
  std::vector<TrialPlan> plans;
  std::vector<Json> recipes;
  for (std::int64_t number = first; number < first + count; ++number) {
    TrialPlan plan;
    plan.trial = space.trial(number);
    recipes.push_back(trial_recipe(definition.job.recipe, plan.trial.point, plan.trial.replicate));
    plan.seed = find_pointer(recipes.back(), "/train/seed")->get<std::int64_t>();
    plans.push_back(std::move(plan));
  }
  if (plans.empty()) {
    return plans;
  }
  const auto answers = describer.describe(recipes);
  REGATTA_REQUIRE(answers.size() == plans.size(), BugError, "describe: ", answers.size(), " answers to ", plans.size(),
                  " recipes");
  for (std::size_t i = 0; i < plans.size(); ++i) {
    plans[i].description = answers[i];
    if (!answers[i].error.empty()) {
      throw Error(
          static_cast<ExitCode>(answers[i].error_code),
          str("trial ", plans[i].trial.number, " (", point_text(plans[i].trial.point), "): ", answers[i].error));
    }
  }
  return plans;
}

void write_trial_recipe(const TrialFiles& files, const TrialPlan& plan) {
  const std::string path = files.recipe().string();
  const std::string text = dump_pretty(plan.description.resolved);
  if (std::filesystem::exists(files.recipe())) {
    const std::string present = read_file(files.recipe());
    if (present == text) {
      return;
    }
    const Json born = comparable(parse_json(present, path), path);
    const auto differences = json_differences(born, comparable(plan.description.resolved, "/recipe"));
    REGATTA_REQUIRE(differences.empty(), DataError, path, ": trial ", plan.trial.number,
                    " began as another training: ", join(differences, "; "));
  }
  make_directories(files.root);
  write_file_atomically(files.recipe(), text);
}

}  // namespace regatta
