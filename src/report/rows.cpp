#include "report/rows.hpp"

#include <algorithm>
#include <set>

#include "regatta/sweep/definition.hpp"

namespace regatta {

std::vector<std::string> other_metrics(const Report& report) {
  std::set<std::string> names;
  for (const ReportPoint& point : report.ranking) {
    for (const auto& [name, summary] : point.best) {
      if (name != report.metric && name.find('/') == std::string::npos) {
        names.insert(name);
      }
    }
  }
  return {names.begin(), names.end()};
}

Json axis_value(const ReportTrial& trial, const ReportAxis& axis) {
  const auto found = trial.axes.find(axis.pointer);
  return found == trial.axes.end() ? Json() : found->second;
}

std::vector<ReportAxis> point_axes(const Report& report) {
  std::vector<ReportAxis> axes = report.axes;
  std::erase_if(axes, [&](const ReportAxis& axis) {
    return axis.pointer == kFoldAxis &&
           std::any_of(report.ranking.begin(), report.ranking.end(), [&](const ReportPoint& point) {
             const Json first = axis_value(report.trials[point.trials.front()], axis);
             return axis_value(report.trials[point.trials.back()], axis) != first;
           });
  });
  return axes;
}

bool is_numeric(const Report& report, const ReportAxis& axis) {
  return std::all_of(report.trials.begin(), report.trials.end(), [&axis](const ReportTrial& trial) {
    const Json value = axis_value(trial, axis);
    return value.is_number() || value.is_null();
  });
}

std::string state_text(const ReportTrial& trial) {
  const bool under_way = trial.status == "running" || trial.status == "paused";
  if (!under_way || (trial.step == 0 && trial.steps == 0)) {
    return trial.status;
  }
  return trial.steps > 0 ? str(trial.status, " ", trial.step, "/", trial.steps)
                         : str(trial.status, " at step ", trial.step);
}

std::string state_text(const Report& report, const ReportPoint& point) {
  if (point.trials.size() == 1) {
    return state_text(report.trials[point.trials.front()]);
  }
  const auto is_ok = [&](std::size_t index) { return report.trials[index].status == status_name(TrialStatus::kOk); };
  return str(std::count_if(point.trials.begin(), point.trials.end(), is_ok), " of ", point.trials.size(), " ok");
}

std::size_t shown_trial(const ReportPoint& point) {
  return point.best_trial.value_or(point.trials.front());
}

std::string no_winner_text(const Report& report) {
  const auto ended = report.totals.by_status.find(status_name(TrialStatus::kOk));
  return ended == report.totals.by_status.end() || ended->second == 0
             ? "no trial has finished yet"
             : str("no trial to rank: ", ended->second, " finished, and '", report.metric,
                   "' was never a number; do the validation pairs have what it needs?");
}

bool has_replicates(const Report& report) {
  return std::any_of(report.ranking.begin(), report.ranking.end(),
                     [](const ReportPoint& p) { return p.trials.size() > 1; });
}

}  // namespace regatta
