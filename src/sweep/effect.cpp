#include "regatta/sweep/effect.hpp"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/config/idle_options.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kMostPoints = 2000;  ///< looked at; the rest is taken to be like them

struct Idle {
  IdleOption option;  ///< as the first point has it
  std::int64_t points = 0;
};

struct IdlePoints {
  std::map<std::string, Idle> by_pointer;
  std::int64_t points = 0;

  /// Nothing unless it has no effect at any point.
  const IdleOption* everywhere(const std::string& pointer) const {
    const auto found = by_pointer.find(pointer);
    return found != by_pointer.end() && found->second.points == points ? &found->second.option : nullptr;
  }
};

/// @param asked  options that somebody gives; where none of them can be idle nothing is looked at
IdlePoints idle_points(const JobOptions& job, const std::vector<std::string>& asked) {
  IdlePoints idle;
  if (std::none_of(asked.begin(), asked.end(), can_be_idle)) {
    return idle;
  }
  const Space space(job);
  for (std::int64_t number = 0; number < space.total_trials() && idle.points < kMostPoints;
       number += space.replicates()) {
    ++idle.points;
    for (IdleOption& option : idle_options(trial_recipe(job.recipe, space.trial(number).point, 0))) {
      const std::string pointer = option.pointer;
      ++idle.by_pointer.try_emplace(pointer, Idle{std::move(option)}).first->second.points;
    }
  }
  return idle;
}

/// Whether the inner axis may count where the outer one has that value.
bool may_count(const Axis& inner, const Axis& outer, const std::vector<Axis>& axes, const Json& value) {
  AxisOptions of_outer = inner.options();
  of_outer.when = Json::object();
  for (const auto& [pointer, condition] : inner.options().when.items()) {
    if (pointer == outer.pointer() || pointer.starts_with(outer.pointer() + "/")) {
      of_outer.when[pointer] = condition;
    }
  }
  return is_active(Axis(inner.pointer(), of_outer), axes, {{outer.pointer(), value}});
}

/// Axes of which one holds the other: the inner one replaces what the outer one's values say, where it counts.
void require_apart(const JobOptions& job) {
  const Space space(job);
  for (const Axis& outer : space.axes()) {
    for (const Axis& inner : space.axes()) {
      const bool is_inside = inner.pointer().starts_with(outer.pointer() + "/");
      const auto& values = outer.choices();
      const bool replaces = is_inside && std::any_of(values.begin(), values.end(), [&](const Json& value) {
                              const bool says =
                                  find_pointer(value, inner.pointer().substr(outer.pointer().size())) != nullptr;
                              return says && may_count(inner, outer, space.axes(), value);
                            });
      REGATTA_REQUIRE(!replaces, ConfigError, pointer_to("/axes", outer.pointer()), ": has no effect on ",
                      inner.pointer(), ", which is an axis itself; leave it out of the values of ", outer.pointer());
    }
  }
}

}  // namespace

std::vector<std::string> axis_pointers(const JobOptions& job) {
  std::vector<std::string> pointers;
  for (const auto& [pointer, axis] : job.axes) {
    pointers.push_back(pointer);
  }
  return pointers;
}

void require_effect(const JobOptions& job, const std::vector<std::string>& settings, bool is_new) {
  if (is_new) {
    require_apart(job);
  }
  std::vector<std::string> asked = axis_pointers(job);
  asked.insert(asked.end(), job.idle.begin(), job.idle.end());
  for (const std::string& setting : settings) {
    asked.push_back(parse_setting(setting).pointer);
  }
  const IdlePoints idle = idle_points(job, asked);
  for (const std::string& setting : settings) {
    const IdleOption* option = idle.everywhere(parse_setting(setting).pointer);
    REGATTA_REQUIRE(option == nullptr || (!is_new && option->identity), ConfigError,
                    idle_text(str("--set ", one_line(setting, 80)), *option));
  }
  if (!is_new) {
    return;
  }
  const Json* threads = find_pointer(job.recipe, "/run/threads");
  REGATTA_REQUIRE(job.threads_per_trial == 0 || threads == nullptr || *threads == 0, ConfigError,
                  "/threads_per_trial: ", job.threads_per_trial, " has no effect, since the recipe's /run/threads is ",
                  dump_line(*threads), "; leave one of them out");
  for (const auto& [pointer, axis] : job.axes) {
    const IdleOption* option = idle.everywhere(pointer);
    REGATTA_REQUIRE(option == nullptr, ConfigError, idle_text(pointer_to("/axes", pointer), *option));
  }
  for (const std::string& pointer : job.idle) {
    const IdleOption* option = idle.everywhere(pointer);
    REGATTA_REQUIRE(option == nullptr, ConfigError, idle_text(str("/recipe", pointer), *option));
  }
}

std::vector<std::string> idle_axes(const JobOptions& job) {
  std::vector<std::string> notes;
  const IdlePoints idle = idle_points(job, axis_pointers(job));
  for (const auto& [pointer, axis] : job.axes) {
    if (const auto found = idle.by_pointer.find(pointer); found != idle.by_pointer.end()) {
      notes.push_back(str(pointer, ": has no effect at ", found->second.points, " of ", idle.points, " points, where ",
                          found->second.option.because, ": they train the same for each of its values"));
    }
  }
  return notes;
}

}  // namespace regatta
