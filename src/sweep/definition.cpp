// A sweep's definition: resolving a job, its identity, job.json, opening an existing sweep.
#include "regatta/sweep/definition.hpp"

#include <algorithm>
#include <bit>
#include <memory>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/idle_options.hpp"
#include "regatta/config/objectives.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/sweep/effect.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/repeats.hpp"

namespace regatta {
namespace {

constexpr const char* kEpochs = "/train/epochs";
constexpr const char* kSteps = "/train/steps";
constexpr const char* kHorizon = "/optim/horizon_epochs";

void require_measured(const std::string& metric, const std::string& at, const Description& base) {
  std::vector<std::string> names;
  for (const auto& [name, direction] : base.metrics) {
    names.push_back(name);
  }
  REGATTA_REQUIRE(base.metrics.contains(metric), ConfigError, at, ": '", one_line(metric, 60),
                  "' is not measured by the recipe, have: ", join(names, ", "));
}

void check_objectives(const JobOptions& job, const Recipe& recipe, const Description& base) {
  const std::vector<RankedObjective> objectives = objectives_of(job);
  for (std::size_t i = 0; i < objectives.size(); ++i) {
    require_measured(objectives[i].metric,
                     job.objectives.empty() ? "/objective/metric" : str("/objectives/", i, "/metric"), base);
  }
  for (const Constraint& constraint : constraints_of(job)) {
    require_measured(constraint.metric, pointer_to("/constraints", constraint.metric), base);
  }
  const std::string& metric = objectives.front().metric;
  REGATTA_REQUIRE(metric == recipe.validation.best, ConfigError,
                  job.objectives.empty() ? "/objective/metric: '" : "/objectives/0/metric: '", metric,
                  "', but the recipe's /validation/best is '", recipe.validation.best,
                  "'; give both the same name, so that the weights kept are the ones that are ranked");
}

/// Directions that the job leaves out are those of the metrics.
void fill_directions(JobOptions& job, const Description& base) {
  const std::vector<RankedObjective> objectives = objectives_of(job);
  for (std::size_t i = 0; i < objectives.size(); ++i) {
    const std::string& direction = objectives[i].direction;
    const std::string filled = direction.empty() ? base.metrics.at(objectives[i].metric) : direction;
    if (!job.objectives.empty()) {
      job.objectives[i]["direction"] = filled;
    }
    if (i == 0) {
      job.objective.direction = filled;
    }
  }
}

Json make_identity(const JobOptions& job, const Description& base) {
  Json identity = identity_of(job);
  identity.erase("axes");
  identity["sampler"] = job.sampler;
  identity["seed"] = job.seed;
  identity["replicates"] = job.replicates;
  identity["objective"] = write_options(job.objective);
  for (const auto& [pointer, axis] : job.axes) {
    identity["axes"][pointer] = identity_of(axis);
  }
  const Json* fingerprint = find_pointer(base.data, "/fingerprint");
  identity["data"] = fingerprint == nullptr ? Json() : *fingerprint;
  identity["recipe"] = base.identity;
  identity["steps"] = base.steps;  // a training may be made longer, but trials of one sweep are compared at one length
  return identity;
}

bool has_axis(const SweepDefinition& definition, const char* pointer) {
  return definition.job.axes.contains(pointer);
}

/// What a person should know of axes and number of points.
void add_space_notes(const Space& space, std::vector<std::string>& notes) {
  for (const Axis& axis : space.axes()) {
    if (axis.grid_size() == 1) {
      notes.push_back(str(pointer_to("/axes", axis.pointer()), ": one value, ",
                          one_line(axis.text(axis.grid_value(0)), 60),
                          ": it is no axis; it could stand in the recipe"));
    }
  }
  const std::int64_t trials_of_setting = space.replicates() * space.folds();
  const std::int64_t settings = (space.total_trials() + trials_of_setting - 1) / trials_of_setting;
  if (space.job().sampler == "sobol" && !std::has_single_bit(static_cast<std::uint64_t>(settings))) {
    const auto more = std::bit_ceil(static_cast<std::uint64_t>(settings));
    notes.push_back(str("/trials: ", space.total_trials(), " ",
                        settings == space.total_trials() ? "" : str("for ", settings, " "),
                        "points; Sobol points fill the space evenly at powers of two: take ",
                        more / 2 * static_cast<std::uint64_t>(trials_of_setting), " or ",
                        more * static_cast<std::uint64_t>(trials_of_setting)));
  }
}

/// Both identities without what an extension from one to the other may change.
void drop_extendable(const SweepDefinition& born, const SweepDefinition& now, Json& before, Json& after) {
  const auto drop = [&](const char* pointer, const char* member) {
    for (Json* identity : {&before, &after}) {
      Json& parent = *pointer == '\0' ? *identity : identity->at(Json::json_pointer(pointer));
      parent.erase(member);
    }
  };
  drop("", "replicates");
  if (born.job.sampler == "grid" && now.job.sampler == "grid" && axis_pointers(born.job) == axis_pointers(now.job)) {
    drop("", "axes");
  }
  const bool axis_of_length = has_axis(born, kEpochs) || has_axis(born, kSteps);
  if (now.base.steps <= born.base.steps || axis_of_length) {
    return;
  }
  drop("", "steps");
  const auto is_open = [](const SweepDefinition& definition) {
    const Json* horizon = find_pointer(definition.job.recipe, kHorizon);
    return horizon != nullptr && *horizon == 0;
  };
  if (is_open(born) && is_open(now) && find_pointer(before, "/recipe/optim") != nullptr &&
      find_pointer(after, "/recipe/optim") != nullptr) {
    drop("/recipe/optim", "horizon_epochs");  // `plan_extension` looks at the schedule of every trial
  }
}

/// What the job gives now, over the experiment as born.
JobOptions opened_job(const SweepDefinition& born, const SweepDefinition& now) {
  JobOptions job = now.job;
  job.axes = born.job.axes;
  job.trials = born.job.trials;
  job.replicates = born.job.replicates;
  for (const char* pointer : {kEpochs, kSteps}) {
    set_pointer(job.recipe, pointer, *find_pointer(born.job.recipe, pointer));
  }
  return job;
}

/// An axis replaces what is set at or above it.
void require_no_axis(const JobOptions& job, const std::string& pointer, const Json& value) {
  for (const auto& [axis, options] : job.axes) {
    const bool is_inside = axis == pointer || pointer.starts_with(axis + "/");
    const bool holds = axis.starts_with(pointer + "/") && find_pointer(value, axis.substr(pointer.size())) != nullptr;
    REGATTA_REQUIRE(!is_inside && !holds, ConfigError, "--set ", one_line(pointer, 80), ": ",
                    axis == pointer ? std::string() : str(axis, " "), "is an axis of this job");
  }
}

}  // namespace

SweepRules rules_of(const SweepDefinition& definition) {
  SweepRules rules{definition.trials, definition.job.max_attempts, definition.job.objective.metric,
                   definition.maximise()};
  rules.budget = budget_of(definition.job);
  rules.scheduler = definition.job.scheduler;
  rules.rungs = static_cast<int>(rungs_of(definition).size());
  rules.replicates = definition.job.replicates;
  if (rules.rungs > 0 && definition.job.axes.contains(kFoldAxis)) {
    rules.born = [space = std::make_shared<const Space>(definition.job)](std::int64_t number) {
      return space->trial(number);
    };
  }
  return rules;
}

std::int64_t epochs_of(const SweepDefinition& definition) {
  const std::int64_t per_epoch = epoch_steps(definition.base);
  return (definition.base.steps + per_epoch - 1) / per_epoch;
}

std::vector<std::int64_t> rungs_of(const SweepDefinition& definition) {
  const SchedulerOptions& options = definition.job.scheduler;
  const Json* every = find_pointer(definition.job.recipe, "/validation/every_epochs");
  const bool is_known = every != nullptr && every->is_number_integer();
  return make_scheduler(options.name)
      ->rungs(options, epochs_of(definition), is_known ? every->get<std::int64_t>() : std::int64_t{1});
}

Budget budget_of(const JobOptions& job) {
  return {job.gpu_hours, job.target.is_number() ? std::optional(job.target.get<double>()) : std::nullopt};
}

bool extend_budget(const SweepFiles& files, const JobOptions& job, const SweepState& state, bool maximise) {
  const Budget asked = budget_of(job);
  const auto& recorded = state.recorded_budget();
  if (recorded ? extended(*recorded, asked, maximise) == *recorded : asked == Budget{}) {
    return false;
  }
  JournalWriter writer(files.journal(), this_job());
  writer.append("budget", {{"gpu_hours", asked.gpu_hours}, {"target", job.target}});
  writer.append("leave");
  writer.commit();
  return true;
}

SweepDefinition define_sweep(const JobOptions& job, Describer& describer) {
  SweepDefinition definition;
  definition.job = job;
  resolve_objectives(definition.job);
  definition.notes = drop_repeated_values(definition.job);
  const std::vector<std::string> idle = idle_axes(definition.job);
  definition.notes.insert(definition.notes.end(), idle.begin(), idle.end());
  if (job.sampler == "grid" && job.seed != 0) {
    definition.notes.push_back(str("/seed: ", job.seed,
                                   " has no effect with the sampler grid; /recipe/train/seed is "
                                   "the seed of the trainings"));
  }
  make_scheduler(job.scheduler.name)->check(job);
  const Space space(definition.job);
  add_space_notes(space, definition.notes);
  const Recipe recipe = recipe_from_json(job.recipe, "/recipe");
  definition.job.recipe = write_options(recipe);
  const auto first = space.trial(0).point;
  trial_recipe(definition.job.recipe, first, 0);  // axes that name nothing are refused here
  Json base = definition.job.recipe;
  if (const auto fold = first.find(kFoldAxis); fold != first.end()) {  // there need be no splits but those of folds
    set_pointer(base, kFoldAxis, fold->second);
  }
  const auto answers = describer.describe({base});
  REGATTA_REQUIRE(answers.size() == 1, BugError, "describe: ", answers.size(), " answers to one recipe");
  definition.base = answers.front();
  if (!definition.base.error.empty()) {
    throw Error(static_cast<ExitCode>(definition.base.error_code), str("/recipe: ", definition.base.error));
  }
  check_objectives(definition.job, recipe, definition.base);
  fill_directions(definition.job, definition.base);
  rungs_of(definition);  // refused here if none fits
  definition.identity = make_identity(definition.job, definition.base);
  definition.hash = hash_json(definition.identity);
  definition.trials = space.total_trials();
  return definition;
}

TrialList trials_of(const SweepDefinition& definition) {
  return TrialList(definition.job, definition.extensions, definition.proposals);
}

TrainingLength length_of(const SweepDefinition& definition) {
  for (auto each = definition.extensions.rbegin(); each != definition.extensions.rend(); ++each) {
    if (each->length) {
      return *each->length;
    }
  }
  const auto read = [&](const char* pointer) {
    const Json* value = find_pointer(definition.job.recipe, pointer);
    return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : std::int64_t{0};
  };
  return {read(kEpochs), read(kSteps), definition.base.steps};
}

std::int64_t length_number(const std::vector<Extension>& extensions) {
  std::int64_t number = 0;
  for (const Extension& extension : extensions) {
    number = extension.length ? extension.number : number;
  }
  return number;
}

Json base_recipe(const SweepDefinition& definition) {
  Json recipe = definition.job.recipe;
  if (length_number(definition.extensions) > 0) {
    const TrainingLength length = length_of(definition);
    set_pointer(recipe, kEpochs, length.epochs);
    set_pointer(recipe, kSteps, length.steps);
  }
  return recipe;
}

Json to_json(const SweepDefinition& definition) {
  return {{"schema", kSweepSchema},          {"build", build_id()},
          {"hash", definition.hash},         {"trials", definition.trials},
          {"identity", definition.identity}, {"job", write_options(definition.job)},
          {"base", to_json(definition.base)}};
}

SweepDefinition definition_from_json(const Json& value, const std::string& source) {
  REGATTA_REQUIRE(value.is_object(), DataError, source, ": expected an object, got ", type_name(value));
  const auto member = [&](const char* name, bool (Json::*fits)() const noexcept) -> const Json& {
    const auto found = value.find(name);
    REGATTA_REQUIRE(found != value.end() && ((*found).*fits)(), DataError, source, ": '", name,
                    "' is missing or of another type; is this a sweep's job.json?");
    return *found;
  };
  const auto schema = member("schema", &Json::is_number_integer).get<std::int64_t>();
  REGATTA_REQUIRE(schema == kSweepSchema, DataError, source, ": schema ", schema, ", this build reads ", kSweepSchema);
  SweepDefinition definition;
  read_options(member("job", &Json::is_object), definition.job, "/job");
  definition.base = description_from_json(member("base", &Json::is_object), str(source, ": base"));
  definition.identity = member("identity", &Json::is_object);
  definition.hash = member("hash", &Json::is_string).get<std::string>();
  definition.trials = member("trials", &Json::is_number_integer).get<std::int64_t>();
  REGATTA_REQUIRE(definition.hash == hash_json(definition.identity), DataError, source,
                  ": the identity does not have the hash that stands beside it; the file has been changed by hand");
  return definition;
}

SweepDefinition read_definition(const SweepFiles& files) {
  REGATTA_REQUIRE(std::filesystem::exists(files.job()), DataError, files.root.string(), ": not a sweep (no job.json)");
  return definition_from_json(read_json(files.job()), files.job().string());
}

OpenedSweep create_or_open(const SweepFiles& files, const SweepDefinition& definition) {
  for (const auto& directory : {files.root, files.journal(), files.claims(), files.root / "trials"}) {
    make_directories(directory);
  }
  OpenedSweep opened{definition, definition, false};
  if (claim_file(files.job(), dump_pretty(to_json(definition)))) {
    opened.created = true;
    return opened;
  }
  const SweepDefinition born = read_definition(files);
  if (born.hash != definition.hash) {
    Json before = born.identity;
    Json now = definition.identity;
    drop_extendable(born, definition, before, now);
    if (hash_json(before) != hash_json(now)) {
      throw ConfigError(str(files.root.string(),
                            ": another experiment is in this folder (give another -o, or its own job): ",
                            join(json_differences(born.identity, definition.identity), "; ")));
    }
  }
  opened.definition = born;
  opened.definition.job = opened_job(born, definition);
  return opened;
}

void apply_settings(JobOptions& job, const std::vector<std::string>& settings, bool is_new) {
  require_distinct_settings(settings);
  Json recipe = write_options(recipe_from_json(job.recipe, "/recipe"));
  for (const std::string& setting : settings) {
    auto [pointer, value] = parse_setting(setting);
    require_no_axis(job, pointer, value);
    if (is_path_option(pointer) && value.is_string()) {
      value = absolute_path(value.get<std::string>(), "");
    }
    recipe = trial_recipe(recipe, {{pointer, value}}, 0);
  }
  if (!settings.empty()) {
    job.recipe = recipe;
  }
  require_effect(job, settings, is_new);
}

}  // namespace regatta
