// Options of a recipe that change nothing beside what another one holds, such as /train/epochs where /train/steps
// decides the length. Whoever gives one of these is told, rather than left to wonder.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"

namespace regatta {

/// An option without effect.
struct IdleOption {
  std::string pointer;
  std::string because;  ///< "/train/steps is 300"
  std::string remedy;   ///< what to do instead
  bool identity;        ///< whether it is part of the recipe's hash all the same
};

/// @param recipe  with all fields written out
std::vector<IdleOption> idle_options(const Json& recipe);

/// Whether an option is one of those that another one can leave without effect.
bool can_be_idle(const std::string& pointer);

/// Pointers of the options that a recipe's text gives and that have no effect in it; none of a text that has every
/// section, as the program writes it.
std::vector<std::string> idle_in_text(const Json& text);

/// "/train/epochs: has no effect, since /train/steps is 300; ..."
std::string idle_text(const std::string& giver, const IdleOption& option);

/// Settings that later ones replace. @throws ConfigError naming both
void require_distinct_settings(const std::vector<std::string>& settings);

/// Settings and options of the recipe's text that have no effect in it.
/// @param settings  of the command line @param given  pointers, as `idle_in_text` gives them
/// @param is_new  whether the training is yet to begin; one that is there continues with what it was born with, but for
/// settings that are no part of its identity
/// @throws ConfigError naming the first
void require_effect(const Json& recipe, const std::vector<std::string>& settings, const std::vector<std::string>& given,
                    bool is_new);

}  // namespace regatta
