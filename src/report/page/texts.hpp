// The page's own style sheet and scripts, and Apache ECharts: texts that CMake embeds (cmake/RegattaEmbed.cmake).
#pragma once

#include <string_view>

namespace regatta {

extern const std::string_view kPageStyle;
extern const std::string_view kTablesScript;  ///< needs no chart
extern const std::string_view kChartsScript;  ///< reads the element "report", draws by ECharts
extern const std::string_view kEcharts;       ///< with its licence's notice; empty: built without it

}  // namespace regatta
