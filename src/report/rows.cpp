#include "report/rows.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "regatta/base/text.hpp"
#include "regatta/sweep/definition.hpp"
#include "report/format.hpp"

namespace regatta {
namespace {

/// What a finished trial without a finite objective has instead: "infinite", "not a number".
std::string unscored_text(const ReportTrial& trial) {
  if (trial.status != status_name(TrialStatus::kOk)) {
    return trial.status;
  }
  return trial.objective && std::isinf(*trial.objective) ? "infinite" : "not a number";
}

}  // namespace

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

std::set<std::string> metric_names(const Report& report) {
  std::set<std::string> names = {report.metric};
  for (const ReportTrial& trial : report.trials) {
    if (trial.result) {
      for (const auto& [name, value] : trial.result->best) {
        if (name.find('/') == std::string::npos) {
          names.insert(name);
        }
      }
    }
  }
  return names;
}

std::string unit_of(const std::string& metric) {
  static const std::map<std::string, std::string> units = {{"folding", "%"}, {"ndv", "%"},     {"hd95", "voxels"},
                                                           {"tre", "mm"},    {"runtime", "s"}, {"memory", "bytes"}};
  const auto found = units.find(metric.substr(0, metric.find('/')));
  return found == units.end() ? "" : found->second;
}

std::string metric_title(const std::string& metric) {
  const std::string unit = unit_of(metric);
  return unit.empty() ? metric : str(metric, " (", unit, ")");
}

std::string measure_text(const std::string& metric, const std::optional<double>& value) {
  const std::string unit = unit_of(metric);
  return str(metric, " ", number_text(value), unit.empty() ? "" : " ", unit);
}

Json axis_value(const ReportTrial& trial, const ReportAxis& axis) {
  const auto found = trial.axes.find(axis.pointer);
  return found == trial.axes.end() ? Json() : found->second;
}

std::vector<std::string> trial_columns(const Report& report) {
  std::vector<std::string> names = {"sweep", "trial", "point", "replicate", "seed", "status"};
  for (const ReportAxis& axis : report.axes) {
    names.push_back(csv_text(axis.pointer));
  }
  return names;
}

std::vector<std::string> trial_column_values(const Report& report, const ReportTrial& trial) {
  std::vector<std::string> fields = {csv_text(report.sweeps[trial.sweep].name),
                                     str(trial.number),
                                     str(trial.point),
                                     str(trial.replicate),
                                     str(trial.seed),
                                     trial.status};
  for (const ReportAxis& axis : report.axes) {
    fields.push_back(axis_field(axis_value(trial, axis)));
  }
  return fields;
}

std::string axis_field(const Json& value) {
  if (value.is_null()) {
    return "";
  }
  if (value.is_number()) {
    return dump_line(value);
  }
  return csv_text(value.is_string() ? value.get<std::string>() : dump_line(value));
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

bool has_failed(const ReportTrial& trial) {
  const auto status = trial_status_from(trial.status);
  return status && *status != TrialStatus::kOk && *status != TrialStatus::kPruned;
}

std::string counts_text(const std::map<std::string, std::int64_t>& by_status) {
  std::vector<std::string> parts;
  for (const char* status :
       {"ok", "pruned", "diverged", "infeasible", "failed", "quarantined", "running", "held", "paused", "waiting"}) {
    if (const auto found = by_status.find(status); found != by_status.end() && found->second > 0) {
      parts.push_back(str(found->second, " ", status));
    }
  }
  return join(parts, ", ");
}

std::string state_text(const ReportTrial& trial) {
  const bool under_way = trial.status == "running" || trial.status == "paused";
  if (!under_way || (trial.step == 0 && trial.steps == 0)) {
    return trial.status;
  }
  return trial.steps > 0 ? str(trial.status, " ", trial.step, "/", trial.steps)
                         : str(trial.status, " at step ", trial.step);
}

const char* point_status(const ReportPoint& point) {
  return point.rank == 0 ? "unranked" : point.violations.empty() ? "ok" : "violates";
}

std::string violations_text(const ReportPoint& point) {
  std::vector<std::string> texts;
  for (const BrokenConstraint& broken : point.violations) {
    texts.push_back(str(constraints_text({broken.constraint}), ": ",
                        broken.value ? number_text(*broken.value) : std::string("no value")));
  }
  return texts.empty() ? "" : str("violates ", join(texts, ", "));
}

std::string state_text(const Report& report, const ReportPoint& point) {
  if (!point.violations.empty()) {
    return violations_text(point);
  }
  if (point.trials.size() == 1) {
    return state_text(report.trials[point.trials.front()]);
  }
  std::map<std::string, int> others;
  for (const std::size_t index : point.trials) {
    const ReportTrial& trial = report.trials[index];
    if (!trial.has_ended() || !trial.objective || !std::isfinite(*trial.objective)) {
      ++others[trial.has_ended() ? unscored_text(trial) : trial.status];
    }
  }
  std::string text = str(point.objective.n, " of ", point.trials.size(), " scored");
  for (const auto& [what, count] : others) {
    text += str(", ", count, " ", what);
  }
  return text;
}

std::string trials_text(const Report& report, const ReportPoint& point) {
  const ReportTrial& first = report.trials[point.trials.front()];
  const ReportTrial& last = report.trials[point.trials.back()];
  const std::string name = report.trial_name(point.trials.front());
  const auto count = static_cast<std::int64_t>(point.trials.size());
  if (count == 1) {
    return name;
  }
  if (count == 2) {
    return str(name, ", ", trial_name(last.number));
  }
  return last.number - first.number == count - 1 ? str(name, "-", trial_name(last.number))
                                                 : str(name, " and ", count - 1, " more");
}

std::string metric_text(const Report& report, const ReportPoint& point, const std::string& metric) {
  const ReportTrial& first = report.trials[point.trials.front()];
  if (point.trials.size() == 1 && first.result && first.result->best.contains(metric)) {
    return number_text(first.result->best.at(metric));
  }
  const auto found = point.best.find(metric);
  return metric == report.metric     ? summary_text(point.objective)
         : found == point.best.end() ? "-"
                                     : summary_text(found->second);
}

std::size_t shown_trial(const ReportPoint& point) {
  return point.best_trial.value_or(point.trials.front());
}

std::string of_text(const ReportPoint& point) {
  const auto trials = static_cast<int>(point.trials.size());
  return point.objective.n == trials ? str(trials) : str(point.objective.n, " of ", trials);
}

std::string score_text(const Report& report, const ReportPoint& point) {
  std::string score = measure_text(report.metric, point.objective.mean);
  for (std::size_t i = 1; i < report.objectives.size(); ++i) {
    const auto found = point.best.find(report.objectives[i].metric);
    score += str(
        ", ", measure_text(report.objectives[i].metric, found == point.best.end() ? std::nullopt : found->second.mean));
  }
  if (point.trials.size() == 1) {
    return str(score, " (", trials_text(report, point), ")");
  }
  return str(score, ", mean of ", of_text(point), " trials (", trials_text(report, point), ")");
}

std::string interval_text(const ReportPoint& point) {
  return point.interval ? str(number_text(point.interval->low), "-", number_text(point.interval->high)) : "-";
}

std::string against_first_text(const Report& report, const ReportPoint& point) {
  if (&point == &report.ranking.front()) {
    return "first";
  }
  if (!point.against_first) {
    return "-";
  }
  const std::string p = str("p ", number_text(point.against_first->p_holm, 2));
  return point.against_first->tied ? str("tied (", p, ")") : p;
}

bool has_statistics(const Report& report) {
  return std::any_of(report.ranking.begin(), report.ranking.end(),
                     [](const ReportPoint& point) { return point.interval || point.against_first; });
}

std::string no_winner_text(const Report& report) {
  const auto ended = report.totals.by_status.find(status_name(TrialStatus::kOk));
  if (ended == report.totals.by_status.end() || ended->second == 0) {
    const bool all_done = std::all_of(report.trials.begin(), report.trials.end(),
                                      [](const ReportTrial& trial) { return trial.has_ended(); });
    return report.trials.empty() || !all_done ? "no trial has finished yet" : "all trials have failed: nothing to rank";
  }
  if (report.totals.ranked == 0) {
    return str("no trial to rank: ", ended->second, " finished, and '", report.metric,
               "' was never a finite number; do the validation pairs have what it needs?");
  }
  if (!report.ranking.empty() && !report.ranking.front().violations.empty()) {
    return str("every point breaks a constraint (", constraints_text(report.constraints),
               "): no winner; the nearest is ", trials_text(report, report.ranking.front()), ", ",
               violations_text(report.ranking.front()));
  }
  return str("no trial beats the start: '", report.metric, "' was never better than before the first step (",
             number_text(report.ranking.front().objective.mean),
             "); train longer, or try other learning rates and loss weights");
}

bool has_replicates(const Report& report) {
  return std::any_of(report.ranking.begin(), report.ranking.end(),
                     [](const ReportPoint& p) { return p.trials.size() > 1; });
}

}  // namespace regatta
