#include "regatta/sweep/plan_time.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"

namespace regatta {
namespace {

constexpr std::array<int, 4> kGpus = {1, 4, 8, 16};
constexpr double kHour_s = 3600.0;

std::int64_t count_in(const TrialPlan& plan, const char* pointer) {
  const Json* found = find_pointer(plan.description.data, pointer);
  return found != nullptr && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

/// As train/trainer: at the start, after every N epochs, at the end.
std::int64_t validations(const Recipe& recipe, std::int64_t steps, std::int64_t train_pairs) {
  const std::int64_t pairs =
      recipe.train.epoch_pairs > 0 ? recipe.train.epoch_pairs : std::max<std::int64_t>(train_pairs, 1);
  const std::int64_t steps_per_epoch = (pairs + recipe.train.batch - 1) / recipe.train.batch;
  const std::int64_t every = recipe.validation.every_epochs * steps_per_epoch;
  return (recipe.validation.at_start ? 1 : 0) + steps / every + (steps % every != 0 ? 1 : 0);
}

Recipe recipe_of(const TrialPlan& plan) {
  return recipe_from_json(plan.description.resolved, trial_name(plan.trial.number));
}

/// The median of a spread in a row of a bench file.
std::optional<double> median_in(const Json& row, const char* pointer) {
  const Json* found = find_pointer(row, pointer);
  return found != nullptr && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

double voxels_of(const std::string& size) {
  double voxels = 1.0;
  for (const std::string& edge : split(size, 'x')) {
    voxels *= std::max(1.0, std::strtod(edge.c_str(), nullptr));
  }
  return voxels;
}

/// "1.5", "31", "0.02", "less than 0.01"
std::string hours_text(double seconds) {
  constexpr double kLeast = 0.01;
  const double hours = seconds / kHour_s;
  const double unit = hours >= 10 ? 1.0 : hours >= 1 ? 10.0 : 100.0;
  return hours < kLeast ? str("less than ", kLeast) : to_text(std::round(hours * unit) / unit);
}

std::string range_text(double least, double most) {
  return duration_text(least) == duration_text(most) ? duration_text(most)
                                                     : str(duration_text(least), " to ", duration_text(most));
}

}  // namespace

Json cost_key(const Json& resolved) {
  Json key = resolved;
  for (const char* pointer : {"/optim", "/checkpoint", "/guard"}) {
    key.erase(std::string(pointer).substr(1));
  }
  if (const Json* optim = find_pointer(resolved, "/optim")) {
    key["optim"] = {optim->value("name", Json()), optim->value("amsgrad", Json())};
  }
  const auto erase_in = [&key](const char* object, std::initializer_list<const char*> members) {
    if (key.contains(object) && key[object].is_object()) {
      for (const char* member : members) {
        key[object].erase(member);
      }
    }
  };
  erase_in("train", {"epochs", "steps", "epoch_pairs", "seed"});
  erase_in("validation", {"every_epochs", "at_start", "best"});
  erase_in("model", {"init_from"});
  erase_in("run", {"log_every_s"});
  erase_in("data", {"fold", "train_split", "val_split"});
  if (key.contains("losses") && key["losses"].is_object()) {
    for (auto& term : key["losses"]) {
      if (term.is_object()) {
        term.erase("weight");
      }
    }
  }
  return key;
}

double training_s(const TrialPlan& plan, const TrainingCost& cost) {
  const Recipe recipe = recipe_of(plan);
  const auto steps = static_cast<double>(plan.description.steps);
  const auto validated = static_cast<double>(
      validations(recipe, plan.description.steps, count_in(plan, "/train_pairs")) * count_in(plan, "/val_pairs"));
  return cost.load_s + (steps * cost.step_ms + validated * cost.validation_pair_ms) / 1000.0;
}

double PlanTime::sum_s() const {
  return std::accumulate(trial_s.begin(), trial_s.end(), 0.0,
                         [](double sum, const std::optional<double>& one) { return sum + one.value_or(0.0); });
}

bool PlanTime::is_whole() const {
  return std::all_of(trial_s.begin(), trial_s.end(), [](const auto& one) { return one.has_value(); });
}

double makespan_s(const std::vector<double>& trial_s, int at_a_time) {
  std::multiset<double> free_at;  // when each place is free
  for (int i = 0; i < at_a_time; ++i) {
    free_at.insert(0.0);
  }
  double end = 0.0;
  for (const double seconds : trial_s) {
    const double until = *free_at.begin() + seconds;
    free_at.erase(free_at.begin());
    free_at.insert(until);
    end = std::max(end, until);
  }
  return end;
}

std::optional<TrainingCost> cost_from_bench(const Json& bench, const TrialPlan& plan) {
  const Recipe recipe = recipe_of(plan);
  const Json* size = find_pointer(bench, "/size");
  const Json* shape = find_pointer(plan.description.data, "/shape");
  const Json* rows = find_pointer(bench, "/rows");
  REGATTA_REQUIRE(size != nullptr && size->is_string() && rows != nullptr && rows->is_array(), DataError,
                  "expected a file of `regatta bench networks ... -o FILE` with \"size\" and \"rows\"");
  double voxels = 1.0;
  for (const Json& edge : shape != nullptr && shape->is_array() ? *shape : Json::array()) {
    voxels *= edge.is_number() ? edge.get<double>() : 1.0;
  }
  const double factor = voxels / voxels_of(size->get<std::string>());
  for (const Json& row : *rows) {
    const auto step_ms = median_in(row, "/step_ms/median");
    if (step_ms && row.value("model", Json()) == recipe.model.name &&
        row.value("parameters", Json()) == plan.description.parameters) {
      const double pair_ms = median_in(row, "/inference_ms/median").value_or(0.0);
      return TrainingCost{*step_ms * factor * recipe.train.batch, pair_ms * factor, 0.0};
    }
  }
  return std::nullopt;
}

PlanTime time_from_bench(const Json& bench, const std::string& source, const std::vector<TrialPlan>& plans) {
  PlanTime time;
  time.source = str("by ", source, ", without loading and metrics");
  const Json* device = find_pointer(bench, "/device");
  time.device = device != nullptr && device->is_string() ? device->get<std::string>() : "?";
  std::set<std::string> missing;  // networks
  for (const TrialPlan& plan : plans) {
    const auto cost = cost_from_bench(bench, plan);
    time.trial_s.push_back(cost ? std::optional(training_s(plan, *cost)) : std::nullopt);
    if (!cost) {
      missing.insert(str("'", recipe_of(plan).model.name, "' with ", plan.description.parameters, " parameters"));
    }
  }
  for (const std::string& model : missing) {
    time.notes.push_back(str("time: ", source, " has no training step of ", model,
                             "; `regatta bench networks` measures networks with default options, plan --measure "
                             "measures any"));
  }
  return time;
}

std::string plan_time_text(const PlanTime& time) {
  std::vector<double> known;
  for (const auto& one : time.trial_s) {
    if (one) {
      known.push_back(*one);
    }
  }
  if (known.empty()) {
    return "time    not known\n";
  }
  const auto [least, most] = std::minmax_element(known.begin(), known.end());
  const std::string counted =
      time.is_whole() ? std::string("all") : str(known.size(), " of ", time.trial_s.size(), " trials");
  const std::string text = str("time    ", range_text(*least, *most), " per trial, ");
  if (time.device == "cpu") {
    return str(text, duration_text(time.sum_s()), " for ", counted, ", one at a time on this CPU (", time.source,
               ")\n");
  }
  std::vector<std::string> parts;
  double before = 0.0;
  for (const int gpus : kGpus) {
    const double span = makespan_s(known, gpus);
    if (span == before) {
      break;  // more GPUs than trials
    }
    parts.push_back(str(duration_text(span), " with ", gpus, gpus == 1 ? " GPU" : ""));
    before = span;
  }
  return str(text, hours_text(time.sum_s()), " GPU-hours for ", counted, " on ", time.device, " (", time.source,
             "): ", join(parts, ", "), "\n");
}

Json to_json(const PlanTime& time) {
  Json trials = Json::array();
  for (const auto& one : time.trial_s) {
    trials.push_back(one ? Json(*one) : Json());
  }
  return {{"device", time.device}, {"source", time.source},    {"trial_s", trials},
          {"sum_s", time.sum_s()}, {"whole", time.is_whole()}, {"notes", time.notes}};
}

}  // namespace regatta
