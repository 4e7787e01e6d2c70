// What the charts of report.html draw, as one JSON text within the page.
#pragma once

#include <string>

#include "regatta/report/report.hpp"

namespace regatta {

/// report.json, by its own names, without what no chart shows: resolved jobs, logs, provenance, means of single labels.
/// Curves are thinned to at most 240 values. Of the best trials only, the `pairs` are by columns:
/// {"pairs": [[moving, fixed], ...], "values": {"dice/17": [...], ...}}. Values have 6 digits; values of axes that are
/// not numbers are the tables' texts.
Json page_data(const Report& report);

/// The same for a script element: no text in it can end that element.
std::string script_json(const Json& data);

}  // namespace regatta
