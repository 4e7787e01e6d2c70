// report.html with or without Apache ECharts, whatever this build embeds.
#pragma once

#include <string>
#include <string_view>

#include "regatta/report/report.hpp"

namespace regatta {

/// @param echarts  its script; empty: static charts, and a script for the tables only
std::string page_html(const Report& report, std::string_view echarts);

}  // namespace regatta
