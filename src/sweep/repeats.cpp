#include "regatta/sweep/repeats.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

/// More lines tell nothing more.
constexpr std::size_t kRepeatsNamed = 5;

std::string text_of(const Json& value) {
  return one_line(dump_line(value), 60);
}

}  // namespace

std::vector<std::string> drop_repeated_values(JobOptions& job) {
  std::vector<std::string> notes;
  const bool drops = job.sampler == "grid";
  bool is_shorter = false;
  for (auto& [pointer, axis] : job.axes) {
    std::map<std::string, Json> seen;
    Json kept = Json::array();
    for (const Json& value : axis.list) {
      const auto [first, is_new] = seen.try_emplace(value_key(value), value);
      if (is_new) {
        kept.push_back(value);
        continue;
      }
      const std::string what =
          str(pointer_to("/axes", pointer), "/list: ", text_of(value), " repeats ", text_of(first->second));
      notes.push_back(drops ? str(what, " and is left out") : str(what, ", so that it is drawn more often"));
    }
    if (drops && kept.size() < axis.list.size()) {
      axis.list = std::move(kept);
      is_shorter = true;
    }
  }
  if (is_shorter && job.trials > 0) {
    JobOptions all = job;
    all.trials = 0;
    const std::int64_t available = Space(all).total_trials();
    if (job.trials > available) {
      notes.push_back(str("/trials: ", job.trials, ", but without repeated values there are ", available));
      job.trials = 0;
    }
  }
  return notes;
}

std::vector<std::string> repeated_trials(const std::vector<TrialPlan>& plans) {
  std::vector<std::string> notes;
  std::map<std::pair<std::string, std::int64_t>, std::int64_t> first;  // recipe hash and steps: number
  std::size_t repeats = 0;
  for (const TrialPlan& plan : plans) {
    const auto [entry, is_new] = first.try_emplace({plan.description.hash, plan.description.steps}, plan.trial.number);
    if (!is_new && ++repeats <= kRepeatsNamed) {
      notes.push_back(str(trial_name(plan.trial.number), " repeats ", trial_name(entry->second), " (",
                          point_text(plan.trial.point), ", seed ", plan.seed, "): the same training twice"));
    }
  }
  if (repeats > kRepeatsNamed) {
    notes.push_back(str(repeats - kRepeatsNamed, " more trials repeat earlier ones"));
  }
  return notes;
}

}  // namespace regatta
