// What the text, CSV and HTML forms of a report show alike: columns and the words for a state.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// Metrics of the best checkpoints besides the objective, without details such as "dice/17"; sorted.
std::vector<std::string> other_metrics(const Report& report);

/// The objective and the metrics of all trials, without details such as "dice/17".
std::set<std::string> metric_names(const Report& report);

/// "%", "mm", "voxels", "s", "bytes"; empty for a plain number.
std::string unit_of(const std::string& metric);

/// "folding (%)"
std::string metric_title(const std::string& metric);

/// "folding 0.1200 %"
std::string measure_text(const std::string& metric, const std::optional<double>& value);

/// Null where the trial has no such axis.
Json axis_value(const ReportTrial& trial, const ReportAxis& axis);

/// The same for a table; of an object only its name and what the axis's other values do not have alike.
std::string axis_text(const ReportTrial& trial, const ReportAxis& axis);

/// The same for a CSV file, with all digits; empty for null.
std::string axis_field(const Json& value);

/// Columns of a CSV file that name a trial: sweep, trial, point, replicate, seed, status, then its axes.
std::vector<std::string> trial_columns(const Report& report);
std::vector<std::string> trial_column_values(const Report& report, const ReportTrial& trial);

/// All axes: "lr 0.0001, weight 2".
std::string setting_text(const Report& report, const ReportTrial& trial);

/// Those by which points differ: without the fold, where there are several to a point.
std::vector<ReportAxis> point_axes(const Report& report);

/// All its values are numbers.
bool is_numeric(const Report& report, const ReportAxis& axis);

/// Ended without weights worth ranking: diverged, infeasible, failed, quarantined.
bool has_failed(const ReportTrial& trial);

/// "5 ok, 1 diverged, 2 running": done trials first.
std::string counts_text(const std::map<std::string, std::int64_t>& by_status);

/// "ok", "failed", "running 40/150".
std::string state_text(const ReportTrial& trial);

/// What a point breaks, else the state of its only trial, or "1 of 4 scored, 1 infinite, 1 diverged, 1 running".
std::string state_text(const Report& report, const ReportPoint& point);

/// "t00003-t00005", "t00000, t00004", "t00000 and 4 more".
std::string trials_text(const Report& report, const ReportPoint& point);

/// A metric at the best checkpoints, as `summary_text`; of a single trial also what is not finite.
std::string metric_text(const Report& report, const ReportPoint& point, const std::string& metric);

/// The trial that stands for a point: its best, else its first.
std::size_t shown_trial(const ReportPoint& point);

/// How many of a point's trials its mean is of: "3", "2 of 3".
std::string of_text(const ReportPoint& point);

/// "dice 0.4288, mean of 3 trials (t00003-t00005)" of a point that has a rank; without replicates "dice 0.4288
/// (t00003)".
std::string score_text(const Report& report, const ReportPoint& point);

/// "0.4201-0.4388", the interval of a point's mean; "-" where there is none.
std::string interval_text(const ReportPoint& point);

/// A point beside the first: "tied (p 0.31)", "p 0.004"; "first" for the first itself, "-" where they were not
/// compared.
std::string against_first_text(const Report& report, const ReportPoint& point);

/// Some points have been compared by their validation pairs.
bool has_statistics(const Report& report);

/// "ok", "violates", "unranked".
const char* point_status(const ReportPoint& point);

/// "violates folding <= 0.5: 1.000"; empty for a point that keeps to all constraints.
std::string violations_text(const ReportPoint& point);

/// Why there is no winner.
std::string no_winner_text(const Report& report);

/// Some points have several trials.
bool has_replicates(const Report& report);

}  // namespace regatta
