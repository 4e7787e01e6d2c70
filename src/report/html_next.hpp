// The part of report.html that says what to run next.
#pragma once

#include <string>

#include "regatta/report/report.hpp"

namespace regatta {

/// Commands: continue with sweeps that are not finished, try failed trials again, register with the winner.
std::string next_html(const Report& report);

}  // namespace regatta
