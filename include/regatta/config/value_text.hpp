// An option's value as a person would write it, for tables and log lines.
#pragma once

#include <string>

#include "regatta/config/json.hpp"

namespace regatta {

/// Text without quotes; numbers, lists and null as in JSON. Of an object its name first, then its other members, those
/// in "options" as if they were its own: {"name": "lkunet", "options": {"head": "half"}} is "lkunet head half".
std::string value_text(const Json& value);

}  // namespace regatta
