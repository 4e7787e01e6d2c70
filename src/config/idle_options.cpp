#include "regatta/config/idle_options.hpp"

#include <algorithm>
#include <array>

#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/config/settings.hpp"

namespace regatta {
namespace {

/// One option, and when it changes nothing.
struct Row {
  const char* pointer;
  const char* beside;
  bool (*is_idle)(const Recipe&);
  const char* remedy;
  bool identity;
};

constexpr std::array<Row, 4> kRows = {{
    {"/train/epochs", "/train/steps", [](const Recipe& recipe) { return recipe.train.steps > 0; },
     "change /train/steps, or set it to 0 to count in epochs", false},
    {"/optim/power", "/optim/schedule",
     [](const Recipe& recipe) { return !find_schedule(recipe.optim.schedule).has_horizon; },
     "leave it out, or choose another schedule", true},
    {"/optim/horizon_epochs", "/optim/schedule",
     [](const Recipe& recipe) { return !find_schedule(recipe.optim.schedule).has_horizon; },
     "leave it out, or choose another schedule", true},
    {"/guard/lr_factor", "/guard/rollbacks", [](const Recipe& recipe) { return recipe.guard.rollbacks == 0; },
     "leave it out, or allow roll-backs", true},
}};

bool is_at_or_below(const std::string& pointer, const std::string& parent) {
  return pointer == parent || pointer.starts_with(parent + "/");
}

}  // namespace

std::vector<IdleOption> idle_options(const Json& recipe) {
  const Recipe read = recipe_from_json(recipe, "/recipe");
  std::vector<IdleOption> idle;
  for (const Row& row : kRows) {
    if (row.is_idle(read)) {
      const Json* other = find_pointer(recipe, row.beside);
      idle.push_back({row.pointer, str(row.beside, " is ", other == nullptr ? "unset" : dump_line(*other)), row.remedy,
                      row.identity});
    }
  }
  return idle;
}

bool can_be_idle(const std::string& pointer) {
  return std::any_of(kRows.begin(), kRows.end(), [&pointer](const Row& row) { return pointer == row.pointer; });
}

std::vector<std::string> idle_in_text(const Json& text) {
  const Json all = write_options(recipe_from_json(text, "/recipe"));
  bool is_written_out = true;
  for (const auto& section : all.items()) {
    is_written_out = is_written_out && text.contains(section.key());
  }
  std::vector<std::string> given;
  for (const IdleOption& option : idle_options(all)) {
    if (!is_written_out && find_pointer(text, option.pointer) != nullptr) {
      given.push_back(option.pointer);
    }
  }
  return given;
}

std::string idle_text(const std::string& giver, const IdleOption& option) {
  return str(giver, ": has no effect, since ", option.because, "; ", option.remedy);
}

void require_distinct_settings(const std::vector<std::string>& settings) {
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const Setting early = parse_setting(settings[i]);
    for (std::size_t j = i + 1; j < settings.size(); ++j) {
      const Setting late = parse_setting(settings[j]);
      const bool replaces_part = late.pointer.starts_with(early.pointer + "/") &&
                                 find_pointer(early.value, late.pointer.substr(early.pointer.size())) != nullptr;
      REGATTA_REQUIRE(!is_at_or_below(early.pointer, late.pointer) && !replaces_part, ConfigError, "--set ",
                      one_line(settings[i], 80), ": is replaced by --set ", one_line(settings[j], 80),
                      "; give one of them");
    }
  }
}

void require_effect(const Json& recipe, const std::vector<std::string>& settings, const std::vector<std::string>& given,
                    bool is_new) {
  for (const IdleOption& option : idle_options(recipe)) {
    if (!is_new && option.identity) {
      continue;
    }
    for (const std::string& setting : settings) {
      REGATTA_REQUIRE(parse_setting(setting).pointer != option.pointer, ConfigError,
                      idle_text(str("--set ", one_line(setting, 80)), option));
    }
    REGATTA_REQUIRE(!is_new || std::find(given.begin(), given.end(), option.pointer) == given.end(), ConfigError,
                    idle_text(option.pointer, option));
  }
}

}  // namespace regatta
