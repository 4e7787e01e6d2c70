// `regatta bench collect`: how long a report of a large sweep takes, against reading the same bytes.
#pragma once

#include <cstdint>

#include "regatta/config/json.hpp"

namespace regatta::bench {

/// Makes a sweep of N finished trials in a folder of its own (journals alone, no trial folders), reads its
/// report with the files in the page cache and out of it, and checks that every trial is ranked and the right one won.
/// Prints a line a measurement. @throws BugError if the report is wrong
Json measure_collect(std::int64_t trials, int repeats);

}  // namespace regatta::bench
