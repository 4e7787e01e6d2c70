// The leaderboard as text for a terminal, and the command that uses a trial's weights.
#include <algorithm>

#include "regatta/base/shell.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/report/report.hpp"
#include "regatta/sweep/layout.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

TextTable make_table(const Report& report, const std::vector<std::string>& metrics) {
  const bool replicates = has_replicates(report);
  TextTable table;
  table.column("rank", TextTable::Align::kRight);
  if (report.hypervolume) {
    table.column("front", TextTable::Align::kRight);
    table.column("hypervolume", TextTable::Align::kRight);
  }
  table.column(replicates ? "trials" : "trial", TextTable::Align::kLeft);
  for (const ReportAxis& axis : point_axes(report)) {
    table.column(one_line(axis.label, 40),
                 is_numeric(report, axis) ? TextTable::Align::kRight : TextTable::Align::kLeft);
  }
  table.column(one_line(metric_title(report.metric), 40), TextTable::Align::kRight);
  if (replicates) {
    table.column("std", TextTable::Align::kRight);
  }
  if (has_statistics(report)) {
    table.column("95 % of pairs", TextTable::Align::kRight);
    table.column("against first", TextTable::Align::kLeft);
  }
  for (const std::string& name : metrics) {
    table.column(one_line(metric_title(name), 40), TextTable::Align::kRight);
  }
  if (replicates) {
    table.column("best trial", TextTable::Align::kLeft);
    table.column(one_line(str("its ", report.metric), 40), TextTable::Align::kRight);
  }
  table.column("best step", TextTable::Align::kRight);
  table.column("ms/step", TextTable::Align::kRight);
  table.column("time", TextTable::Align::kRight);
  table.column("status", TextTable::Align::kLeft);
  return table;
}

std::vector<std::string> point_cells(const Report& report, const ReportPoint& point,
                                     const std::vector<std::string>& metrics) {
  const bool replicates = has_replicates(report);
  const ReportTrial& trial = report.trials[shown_trial(point)];
  std::vector<std::string> cells = {point.rank > 0 ? str(point.rank) : "-"};
  if (report.hypervolume) {
    cells.push_back(point.front > 0 ? str(point.front) : "-");
    cells.push_back(point.front > 0 ? number_text(point.hypervolume) : "-");
  }
  cells.push_back(one_line(trials_text(report, point), 60));
  for (const ReportAxis& axis : point_axes(report)) {
    cells.push_back(axis_text(trial, axis));
  }
  cells.push_back(metric_text(report, point, report.metric));
  if (replicates) {
    cells.push_back(number_text(point.objective.std, 2));
  }
  if (has_statistics(report)) {
    cells.push_back(interval_text(point));
    cells.push_back(against_first_text(report, point));
  }
  for (const std::string& name : metrics) {
    cells.push_back(metric_text(report, point, name));
  }
  if (replicates) {
    cells.push_back(point.best_trial ? trial_name(trial.number) : "-");
    cells.push_back(point.best_trial ? number_text(trial.objective) : "-");
  }
  const bool has_one = !replicates || point.best_trial;
  cells.push_back(has_one && trial.result ? str(trial.result->best_step, "/", trial.result->steps) : "-");
  cells.push_back(has_one && trial.result ? number_text(trial.result->ms_per_step) : "-");
  cells.push_back(has_one && trial.wall_s ? duration_text(*trial.wall_s) : "-");
  cells.push_back(state_text(report, point));
  return cells;
}

}  // namespace

std::string leaderboard_text(const Report& report, std::size_t rows) {
  const std::vector<std::string> metrics = other_metrics(report);
  TextTable table = make_table(report, metrics);
  const std::size_t shown = rows == 0 ? report.ranking.size() : std::min(rows, report.ranking.size());
  for (std::size_t i = 0; i < shown; ++i) {
    table.row(point_cells(report, report.ranking[i], metrics));
  }
  std::string text = table.text();
  if (shown < report.ranking.size()) {
    text += str("... and ", report.ranking.size() - shown, " more\n");
  }
  if (has_replicates(report)) {
    text += str("each row: the mean over a point's trials that have a finite ", one_line(report.metric, 40),
                "; best step, ms/step and time are those of its best trial\n");
  }
  if (report.hypervolume) {
    text += str("ranked by ", one_line(objectives_text(report.ranked_by()), 200),
                ": by front, then by what a point adds to its front's hypervolume; the first front has ",
                number_text(report.hypervolume), "\n");
  }
  if (has_statistics(report)) {
    text += str("95 % of pairs: bootstrap over ", report.statistics.pairs,
                " validation pairs. against first: paired signed-rank test over them, p by Holm for ",
                report.statistics.comparisons, report.statistics.comparisons == 1 ? " comparison\n" : " comparisons\n");
  }
  return text;
}

std::string register_command(const Report& report, std::size_t trial) {
  return str("regatta register --model ", shell_quote(report.weights_path(trial)),
             " --fixed FIXED.nii.gz --moving MOVING.nii.gz -o OUT");
}

}  // namespace regatta
