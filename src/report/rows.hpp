// What the text, CSV and HTML forms of a report show alike: columns and the words for a state.
#pragma once

#include <string>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// Metrics of the best checkpoints besides the objective, without details such as "dice/17"; sorted.
std::vector<std::string> other_metrics(const Report& report);

/// Null where the trial has no such axis.
Json axis_value(const ReportTrial& trial, const ReportAxis& axis);

/// Those by which points differ: without the fold, where there are several to a point.
std::vector<ReportAxis> point_axes(const Report& report);

/// All its values are numbers.
bool is_numeric(const Report& report, const ReportAxis& axis);

/// "ok", "failed", "running 40/150".
std::string state_text(const ReportTrial& trial);

/// The state of a point's only trial, or "2 of 3 ok".
std::string state_text(const Report& report, const ReportPoint& point);

/// The trial that stands for a point: its best, else its first.
std::size_t shown_trial(const ReportPoint& point);

/// Why there is no winner.
std::string no_winner_text(const Report& report);

bool has_replicates(const Report& report);

}  // namespace regatta
