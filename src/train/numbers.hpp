// Named numbers ("dice": 0.71) back from JSON; NaN and infinities as strings.
#pragma once

#include <map>
#include <string>

#include "regatta/config/json.hpp"

namespace regatta {

/// @throws ConfigError for a value that is no number
std::map<std::string, double> numbers_from_json(const Json& object);

}  // namespace regatta
