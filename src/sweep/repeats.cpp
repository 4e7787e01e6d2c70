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
  const bool drops = job.sampler != "random";
  bool is_shorter = false;
  for (auto& [pointer, axis] : job.axes) {
    std::map<std::string, std::string> seen;  // by value: how it is called
    const auto is_new = [&](const Json& value, const char* form, const std::string& called) {
      const auto [first, is_first] = seen.try_emplace(value_key(value), called);
      if (!is_first) {
        const std::string what = str(pointer_to("/axes", pointer), "/", form, ": ", called, " repeats ", first->second);
        notes.push_back(drops ? str(what, " and is left out") : str(what, ", so that it is drawn more often"));
        is_shorter = is_shorter || drops;
      }
      return is_first || !drops;
    };
    Json list = Json::array();
    for (const Json& value : axis.list) {
      if (is_new(value, "list", text_of(value))) {
        list.push_back(value);
      }
    }
    Json named = Json::object();
    for (const auto& [name, value] : axis.named.items()) {
      if (is_new(value, "named", one_line(name, 60))) {
        named[name] = value;
      }
    }
    axis.list = std::move(list);
    axis.named = std::move(named);
  }
  if (is_shorter && job.trials > 0 && job.sampler == "grid") {
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
    if (plan.trial.open) {
      continue;
    }
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
