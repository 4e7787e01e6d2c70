// The leaderboard as text for a terminal, and the command that uses a trial's weights.
#include <algorithm>

#include "regatta/base/shell.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/report/report.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

TextTable make_table(const Report& report, const std::vector<std::string>& metrics) {
  TextTable table;
  table.column("rank", TextTable::Align::kRight);
  table.column("trial", TextTable::Align::kLeft);
  for (const ReportAxis& axis : point_axes(report)) {
    table.column(one_line(axis.label, 40),
                 is_numeric(report, axis) ? TextTable::Align::kRight : TextTable::Align::kLeft);
  }
  table.column(one_line(report.metric, 40), TextTable::Align::kRight);
  if (has_replicates(report)) {
    table.column("std", TextTable::Align::kRight);
  }
  for (const std::string& name : metrics) {
    table.column(one_line(name, 40), TextTable::Align::kRight);
  }
  table.column("best step", TextTable::Align::kRight);
  table.column("ms/step", TextTable::Align::kRight);
  table.column("time", TextTable::Align::kRight);
  table.column("status", TextTable::Align::kLeft);
  return table;
}

std::vector<std::string> point_cells(const Report& report, const ReportPoint& point,
                                     const std::vector<std::string>& metrics) {
  const ReportTrial& trial = report.trials[shown_trial(point)];
  std::vector<std::string> cells = {point.rank > 0 ? str(point.rank) : "-",
                                    one_line(report.trial_name(shown_trial(point)), 60)};
  for (const ReportAxis& axis : point_axes(report)) {
    cells.push_back(axis_text(axis_value(trial, axis)));
  }
  cells.push_back(number_text(point.objective.mean));
  if (has_replicates(report)) {
    cells.push_back(number_text(point.objective.std, 2));
  }
  for (const std::string& name : metrics) {
    const auto found = point.best.find(name);
    cells.push_back(found == point.best.end() ? "-" : number_text(found->second.mean));
  }
  cells.push_back(trial.result ? str(trial.result->best_step, "/", trial.result->steps) : "-");
  cells.push_back(trial.result ? number_text(trial.result->ms_per_step) : "-");
  cells.push_back(trial.wall_s ? duration_text(*trial.wall_s) : "-");
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
  return text;
}

std::string register_command(const Report& report, std::size_t trial) {
  return str("regatta register --model ", shell_quote(report.weights_path(trial)),
             " --fixed FIXED.nii.gz --moving MOVING.nii.gz -o OUT");
}

}  // namespace regatta
