// What a job asks for beyond what its sweep has, and the records that bring the sweep there.
#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(200);
constexpr std::size_t kTrialsNamed = 3;  ///< trials named in a message; more tell nothing more

/// How often each trial is asked for or there, by point and replicate.
using Bag = std::map<std::string, std::int64_t>;

std::string trial_key(const TrialPoint& trial) {
  return str(point_key(trial.point), " ", trial.replicate);
}

std::string trial_text(const TrialPoint& trial) {
  return str(trial.point.empty() ? std::string("the base recipe") : point_text(trial.point),
             trial.replicate > 0 ? str(", replicate ", trial.replicate) : std::string());
}

/// "a; b; c; and 4 more"
std::string list_text(const std::vector<std::string>& all) {
  std::vector<std::string> shown(all.begin(),
                                 all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kTrialsNamed)));
  if (all.size() > kTrialsNamed) {
    shown.push_back(str("and ", all.size() - kTrialsNamed, " more"));
  }
  return join(shown, "; ");
}

bool has_same_space(const OpenedSweep& opened) {
  const Json& born = opened.definition.identity;
  const Json& asked = opened.asked.identity;
  const auto is_same = [&](const char* name) {
    return hash_json(born.value(name, Json())) == hash_json(asked.value(name, Json()));
  };
  return is_same("axes") && is_same("replicates");
}

std::string fewer_text(std::int64_t asked, std::int64_t total) {
  return str("the job asks for ", asked, " trials, the sweep has ", total, " already: nothing is taken back");
}

/// A person asked for the trial with `regatta enqueue`.
bool is_enqueued(const std::vector<Extension>& extensions, std::int64_t number) {
  return std::any_of(extensions.begin(), extensions.end(), [number](const Extension& each) {
    return each.enqueued && number >= each.first && number < each.trials;
  });
}

/// Trials of the job that the sweep does not have, in the job's order, with their points' indices.
void list_trials(const OpenedSweep& opened, std::int64_t total, Extension& extension, std::vector<std::string>& notes) {
  const TrialList present = trials_of(opened.definition);
  REGATTA_REQUIRE(!present.space().reads_history(), ConfigError, "/replicates: a sweep with the sampler ",
                  opened.definition.job.sampler, " keeps the replicates that it was born with; give another -o");
  std::map<std::string, std::int64_t> indices;
  std::int64_t free_index = 0;
  Bag have;
  std::vector<TrialPoint> known;
  for (std::int64_t number = 0; number < total; ++number) {
    known.push_back(present.trial(number));
    indices.try_emplace(point_key(known.back().point), known.back().index);
    free_index = std::max(free_index, known.back().index + 1);
    ++have[trial_key(known.back())];
  }
  const Space space(opened.asked.job);
  Bag wanted;
  for (std::int64_t number = 0; number < opened.asked.trials; ++number) {
    TrialPoint trial = space.trial(number);
    const std::string key = trial_key(trial);
    if (++wanted[key] <= have[key]) {
      continue;
    }
    const auto [index, is_new] = indices.try_emplace(point_key(trial.point), free_index);
    free_index += is_new ? 1 : 0;
    trial.index = index->second;
    trial.number = total + static_cast<std::int64_t>(extension.added.size());
    extension.added.push_back(std::move(trial));
  }
  std::vector<std::string> left_out;
  for (const TrialPoint& trial : known) {
    const std::string key = trial_key(trial);
    if (have[key]-- > wanted[key] && !is_enqueued(opened.definition.extensions, trial.number)) {
      left_out.push_back(str(trial_name(trial.number), " (", trial_text(trial), ")"));
    }
  }
  REGATTA_REQUIRE(left_out.empty() || extension.added.empty(), ConfigError, "the job adds trials to the sweep (",
                  trial_text(extension.added.front()), ") but leaves out ", list_text(left_out),
                  ": an extension keeps what there is; put those values back, raise /trials with /replicates, or give "
                  "another -o");
  if (!left_out.empty()) {
    notes.push_back(fewer_text(opened.asked.trials, total));
  }
  extension.trials = total + static_cast<std::int64_t>(extension.added.size());
}

/// A schedule that ends with the training as born has no rates for a longer one.
void check_schedules(const SweepDefinition& definition, std::int64_t total) {
  const TrialList trials = trials_of(definition);
  std::set<std::string> checked;
  for (std::int64_t number = 0; number < total; ++number) {
    const TrialPoint trial = trials.trial(number);
    if (!checked.insert(point_key(trial.point)).second) {
      continue;
    }
    const Json recipe = trial_recipe(definition.job.recipe, trial.point, 0);
    const bool ends = find_schedule(find_pointer(recipe, "/optim/schedule")->get<std::string>()).has_horizon &&
                      *find_pointer(recipe, "/optim/horizon_epochs") == 0;
    REGATTA_REQUIRE(!ends, ConfigError, "the training cannot be made longer: the rate of ", trial_name(number),
                    " (/optim/schedule ", dump_line(*find_pointer(recipe, "/optim/schedule")),
                    ") runs down over the training as born (", definition.base.steps,
                    " steps); a sweep with a constant rate, or with /optim/horizon_epochs in its recipe, can be "
                    "extended by epochs");
  }
}

void plan_length(const OpenedSweep& opened, Extension& extension, std::vector<std::string>& notes) {
  const TrainingLength now = length_of(opened.definition);
  const TrainingLength asked = length_of(opened.asked);
  if (asked.base_steps > now.base_steps) {
    REGATTA_REQUIRE(rungs_of(opened.definition).empty(), ConfigError,
                    "the training cannot be made longer: trials pause at rungs of the training as born (",
                    now.base_steps, " steps); give another -o for a sweep of the longer training");
    extension.length = asked;
  } else if (asked.base_steps < now.base_steps) {
    notes.push_back(str("the job asks for trainings of ", asked.base_steps, " steps, the sweep's have ", now.base_steps,
                        " already: nothing is taken back"));
  }
}

/// Finished trials continue from their final checkpoints; one that keeps none would begin again.
void require_final_checkpoints(const SweepFiles& files, const SweepState& state) {
  std::vector<std::string> lacking;
  std::vector<std::string> running;
  for (const TrialState& trial : state.trials()) {
    const TrialFiles own = files.trial(trial.number);
    if (trial.status == TrialStatus::kOk && list_checkpoints(own).empty()) {
      lacking.push_back(trial_name(trial.number));
    } else if (trial.phase == TrialPhase::kRunning && std::filesystem::exists(own.recipe())) {
      const Json recipe = read_json(own.recipe());
      const Json* keeps = find_pointer(recipe, "/checkpoint/keep_final");
      if (keeps == nullptr || *keeps != true) {
        running.push_back(trial_name(trial.number));
      }
    }
  }
  constexpr const char* kOption = "/checkpoint/keep_final";
  REGATTA_REQUIRE(lacking.empty(), ConfigError, "the training cannot be made longer: ", list_text(lacking),
                  lacking.size() == 1 ? " is" : " are", " finished and kept no checkpoint to continue from (", kOption,
                  " was false, or `regatta clean --final` removed it); give another -o for a sweep of the longer "
                  "training");
  REGATTA_REQUIRE(running.empty(), ConfigError, "the training cannot be made longer now: ", list_text(running),
                  running.size() == 1 ? " runs" : " run", " without ", kOption, "; stop the sweep first (regatta stop ",
                  files.root.string(), "), then extend it");
}

/// The recipes of trials that have begun must stay what they are.
void require_same_recipes(const SweepDefinition& definition, const SweepState& state, std::int64_t total,
                          Describer& describer) {
  for (const TrialPlan& plan : plan_trials(definition, 0, total, describer)) {
    const std::string born = state.trial(plan.trial.number).recipe_hash;
    REGATTA_REQUIRE(born.empty() || born == plan.description.hash, ConfigError,
                    "the training cannot be made longer: ", trial_name(plan.trial.number), " would become recipe ",
                    plan.description.hash, ", it began as ", born);
  }
}

std::string said_of(const Extension& extension) {
  std::vector<std::string> parts;
  if (extension.trials > extension.first) {
    parts.push_back(str("from ", extension.first, " to ", extension.trials, " trials (", trial_name(extension.first),
                        " to ", trial_name(extension.trials - 1), " are new)"));
  }
  if (extension.length) {
    parts.push_back(str(
        "to ",
        extension.length->steps > 0 ? str(extension.length->steps, " steps") : str(extension.length->epochs, " epochs"),
        " for every trial"));
  }
  return str("extended ", join(parts, ", and "));
}

}  // namespace

ExtensionPlan plan_extension(const OpenedSweep& opened, std::int64_t total) {
  ExtensionPlan plan;
  const auto& extensions = opened.definition.extensions;
  Extension next;
  next.number = static_cast<std::int64_t>(extensions.size()) + 1;
  next.first = next.trials = total;
  bool are_listed = false;
  std::int64_t of_space = total;  // but for those that a person asked for
  for (const Extension& each : extensions) {
    are_listed = are_listed || (each.is_listed() && !each.enqueued);
    of_space -= each.enqueued ? each.trials - each.first : 0;
  }
  if (!are_listed && has_same_space(opened)) {
    next.trials = total + std::max<std::int64_t>(0, opened.asked.trials - of_space);
    if (opened.asked.trials < of_space) {
      plan.notes.push_back(fewer_text(opened.asked.trials, of_space));
    }
  } else {
    list_trials(opened, total, next, plan.notes);
  }
  plan_length(opened, next, plan.notes);
  if (next.trials == total && !next.length) {
    return plan;
  }
  SweepDefinition extended = opened.definition;
  extended.extensions.push_back(next);
  if (length_number(extended.extensions) > 0) {
    check_schedules(extended, next.trials);
  }
  plan.extension = std::move(next);
  return plan;
}

SweepDefinition extend_sweep(const SweepFiles& files, OpenedSweep opened,
                             const std::function<const SweepState&()>& read_state, Describer& describer,
                             std::vector<std::string>& said) {
  while (true) {
    const SweepState& state = read_state();
    opened.definition.extensions = state.extensions();
    opened.definition.proposals = state.proposals();
    const std::int64_t total = state.total();
    const ExtensionPlan plan = plan_extension(opened, total);
    if (!plan.extension) {
      said.insert(said.end(), plan.notes.begin(), plan.notes.end());
      return std::move(opened.definition);
    }
    SweepDefinition extended = opened.definition;
    extended.extensions.push_back(*plan.extension);
    if (plan.extension->length) {
      require_final_checkpoints(files, state);
      require_same_recipes(extended, state, total, describer);
    }
    plan_trials(extended, total, plan.extension->trials - total, describer);  // what is refused is never recorded
    if (write_extension(files, *plan.extension)) {
      said.push_back(said_of(*plan.extension));
    } else {
      std::this_thread::sleep_for(kLookAgain);  // another process has just written it: it may not be seen here yet
    }
  }
}

}  // namespace regatta
