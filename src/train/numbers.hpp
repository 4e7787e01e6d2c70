// Named numbers ("dice": 0.71) as JSON and back; NaN and infinities as strings.
#pragma once

#include <map>
#include <string>

#include "regatta/config/json.hpp"

namespace regatta {

Json numbers_to_json(const std::map<std::string, double>& numbers);

/// @throws ConfigError for a value that is no number
std::map<std::string, double> numbers_from_json(const Json& object);

}  // namespace regatta
