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
Json comparable_recipe(Recipe recipe) {
  recipe.model.options = Json::object();
  for (auto& [name, term] : recipe.losses) {
    term.options = Json::object();
  }
  Json identity = identity_of(recipe);
  identity["epochs"] = recipe.train.epochs;
  identity["steps"] = recipe.train.steps;
  return identity;
}

/// An extension makes trainings longer; a process that has not read it yet must not make them shorter again.
bool is_shorter(const TrainOptions& now, const TrainOptions& born) {
  const bool in_steps = now.steps > 0 && born.steps > 0;
  return in_steps ? now.steps < born.steps : now.steps == 0 && born.steps == 0 && now.epochs < born.epochs;
}

std::vector<Description> describe_all(const std::vector<Json>& recipes, Describer& describer) {
  auto answers = describer.describe(recipes);
  REGATTA_REQUIRE(answers.size() == recipes.size(), BugError, "describe: ", answers.size(), " answers to ",
                  recipes.size(), " recipes");
  return answers;
}

/// Where the recipe leaves the horizon open it is the length at birth, also once the training is longer.
void keep_horizons(const SweepDefinition& definition, const std::vector<TrialPlan>& plans, Describer& describer,
                   std::vector<Json>& recipes) {
  constexpr const char* kHorizon = "/optim/horizon_epochs";
  std::vector<Json> born;
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    if (*find_pointer(recipes[i], kHorizon) == 0) {
      open.push_back(i);
      born.push_back(trial_recipe(definition.job.recipe, plans[i].trial.point, plans[i].trial.replicate));
    }
  }
  if (open.empty()) {
    return;
  }
  const auto answers = describe_all(born, describer);
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (const Json* horizon = find_pointer(answers[i].resolved, kHorizon); horizon != nullptr) {
      set_pointer(recipes[open[i]], kHorizon, *horizon);
    }
  }
}

}  // namespace

std::vector<TrialPlan> plan_trials(const SweepDefinition& definition, std::int64_t first, std::int64_t count,
                                   Describer& describer) {
  const TrialList trials = trials_of(definition);
  const Json base = base_recipe(definition);
  std::vector<TrialPlan> plans;
  std::vector<Json> recipes;
  for (std::int64_t number = first; number < first + count; ++number) {
    TrialPlan plan;
    plan.trial = trials.likely_trial(number);
    recipes.push_back(trial_recipe(base, plan.trial.point, plan.trial.replicate));
    plan.seed = find_pointer(recipes.back(), "/train/seed")->get<std::int64_t>();
    plans.push_back(std::move(plan));
  }
  if (plans.empty()) {
    return plans;
  }
  if (length_number(definition.extensions) > 0) {
    keep_horizons(definition, plans, describer, recipes);
  }
  const auto answers = describe_all(recipes, describer);
  const std::vector<std::int64_t> rungs = rungs_of(definition);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    plans[i].description = answers[i];
    if (!answers[i].error.empty()) {
      throw Error(
          static_cast<ExitCode>(answers[i].error_code),
          str("trial ", plans[i].trial.number, " (", point_text(plans[i].trial.point), "): ", answers[i].error));
    }
    const std::int64_t last = rungs.empty() ? 0 : rungs.back() * epoch_steps(answers[i]);
    REGATTA_REQUIRE(rungs.empty() || last < answers[i].steps, ConfigError, "/scheduler: the last rung, after ",
                    rungs.back(), " epochs, is step ", last, " of trial ", plans[i].trial.number, ", which has ",
                    answers[i].steps, "; count the training in epochs (/train/steps 0), or lower /scheduler/most");
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
    Recipe born = recipe_from_json(parse_json(present, path), path);
    const Recipe now = recipe_from_json(plan.description.resolved, "/recipe");
    if (!is_shorter(now.train, born.train)) {
      born.train.epochs = now.train.epochs;
      born.train.steps = now.train.steps;
    }
    const auto differences = json_differences(comparable_recipe(born), comparable_recipe(now));
    REGATTA_REQUIRE(differences.empty(), DataError, path, ": trial ", plan.trial.number,
                    " began as another training: ", join(differences, "; "));
  }
  make_directories(files.root);
  write_file_atomically(files.recipe(), text);
}

}  // namespace regatta
