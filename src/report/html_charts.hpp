// The static charts of report.html, from a Report, and what ties charts to tables.
#pragma once

#include <string>

#include "regatta/report/report.hpp"

namespace regatta {

/// Colour class of each trial: 1..6 for the six best points, 0 for all others.
int colour_of(const Report& report, std::size_t trial);

/// Ties a chart's marks to table rows: "0-3" for point 3 of sweep 0.
std::string point_key(std::size_t sweep, std::int64_t point);

/// Which colour is which point; needed on paper, where the tables' dots are on another page.
std::string legend_html(const Report& report);

/// Static charts: learning curves, objective against each axis, history of the best.
std::string charts_html(const Report& report);

}  // namespace regatta
