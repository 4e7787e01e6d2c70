// Changes to JSON files from the command line (`--set`), and differences between two of them, for messages.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"

namespace regatta {

/// What `--set /optim/lr=1e-3` asks for.
struct Setting {
  std::string pointer;
  Json value;  ///< what is no JSON is a text
};

/// @throws ConfigError unless the text is POINTER=VALUE with a pointer that begins with '/'
Setting parse_setting(const std::string& text);

/// "/optim/lr: 0.0001 -> 0.001" for every leaf in which the two differ; an absent one is "(default)".
std::vector<std::string> json_differences(const Json& before, const Json& now);

}  // namespace regatta
