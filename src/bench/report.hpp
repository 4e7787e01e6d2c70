// What the reports of all benchmarks have in common.
#pragma once

#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/volume/geometry.hpp"

namespace regatta::bench {

/// Build, libraries, device, time, size and settings of the run.
Json head_of_report(const std::string& benchmark, const Shape3& shape, const RunOptions& run);

/// {"median", "min", "max"}
Json spread_of(const std::vector<double>& values);

}  // namespace regatta::bench
