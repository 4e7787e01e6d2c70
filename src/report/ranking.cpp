// Statistics over replicates, the ranking of points and the history of the best. Pure functions over a Report.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "regatta/report/report.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

using PointKey = std::pair<std::size_t, std::int64_t>;

bool better(double a, double b, bool maximise) {
  return maximise ? a > b : a < b;
}

std::optional<double> finite_objective(const ReportTrial& trial) {
  if (trial.objective && std::isfinite(*trial.objective)) {
    return trial.objective;
  }
  return std::nullopt;
}

/// Replicates of one point, with their statistics.
ReportPoint summarise_point(const Report& report, const PointKey& key, std::vector<std::size_t> trials) {
  ReportPoint point;
  point.sweep = key.first;
  point.point = key.second;
  point.trials = std::move(trials);
  std::vector<double> objectives;
  std::map<std::string, std::vector<double>> metrics;
  for (const std::size_t index : point.trials) {
    const ReportTrial& trial = report.trials[index];
    const auto objective = finite_objective(trial);
    if (!objective) {
      continue;
    }
    objectives.push_back(*objective);
    if (!point.best_trial || better(*objective, *report.trials[*point.best_trial].objective, report.maximise)) {
      point.best_trial = index;
    }
    if (trial.result) {
      for (const auto& [name, value] : trial.result->best) {
        metrics[name].push_back(value);
      }
    }
  }
  point.objective = summarise(objectives);
  for (const auto& [name, values] : metrics) {
    point.best[name] = summarise(values);
  }
  return point;
}

void fill_history(Report& report) {
  struct Finished {
    std::string when;
    std::size_t trial;
  };
  std::vector<Finished> finished;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    if (finite_objective(report.trials[i])) {
      const auto& result = report.trials[i].result;
      finished.push_back({result ? result->provenance.finished_utc : "", i});
    }
  }
  std::stable_sort(finished.begin(), finished.end(),
                   [](const Finished& a, const Finished& b) { return a.when < b.when; });
  report.history.clear();
  for (const Finished& row : finished) {
    const double objective = *report.trials[row.trial].objective;
    const bool improves = report.history.empty() || better(objective, report.history.back().best, report.maximise);
    report.history.push_back({row.trial, objective, improves ? objective : report.history.back().best});
  }
}

void fill_totals(Report& report) {
  report.totals = {};
  report.totals.ranked = static_cast<std::int64_t>(report.history.size());
  for (const ReportTrial& trial : report.trials) {
    ++report.totals.by_status[trial.status];
    if (trial.result && std::isfinite(trial.result->train_s)) {
      report.totals.train_s += trial.result->train_s;
    }
  }
  const auto winner = report.winner();
  if (!winner || !report.trials[*winner].result) {
    return;
  }
  const ReportTrial& trial = report.trials[*winner];
  const auto initial = trial.result->initial.find(report.metric);
  if (initial != trial.result->initial.end() && std::isfinite(initial->second)) {
    report.totals.gain = *trial.objective - initial->second;
  }
}

}  // namespace

Summary summarise(const std::vector<double>& values) {
  Summary summary;
  double sum = 0.0;
  for (const double value : values) {
    if (std::isfinite(value)) {
      sum += value;
      ++summary.n;
    }
  }
  if (summary.n == 0) {
    return summary;
  }
  const double mean = sum / summary.n;
  summary.mean = mean;
  if (summary.n > 1) {
    double squares = 0.0;
    for (const double value : values) {
      if (std::isfinite(value)) {
        squares += (value - mean) * (value - mean);
      }
    }
    summary.std = std::sqrt(squares / (summary.n - 1));
  }
  return summary;
}

void rank(Report& report) {
  std::map<PointKey, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    groups[{report.trials[i].sweep, report.trials[i].point}].push_back(i);
  }
  report.ranking.clear();
  for (auto& [key, trials] : groups) {
    report.ranking.push_back(summarise_point(report, key, std::move(trials)));
  }
  std::stable_sort(report.ranking.begin(), report.ranking.end(), [&report](const ReportPoint& a, const ReportPoint& b) {
    if (!a.objective.mean || !b.objective.mean) {
      return a.objective.mean.has_value() && !b.objective.mean.has_value();
    }
    return better(*a.objective.mean, *b.objective.mean, report.maximise);
  });
  int place = 0;
  for (ReportPoint& point : report.ranking) {
    point.rank = point.objective.mean ? ++place : 0;
  }
  fill_history(report);
  fill_totals(report);
}

void join_folds(Report& report) {
  std::map<std::pair<std::size_t, std::string>, std::int64_t> first;
  std::map<PointKey, std::set<std::string>> scored;  // folds of each point
  for (ReportTrial& trial : report.trials) {
    std::map<std::string, Json> others = trial.axes;
    if (others.erase(kFoldAxis) == 0) {
      continue;
    }
    trial.point = first.emplace(std::pair(trial.sweep, dump_canonical(Json(others))), trial.point).first->second;
    if (finite_objective(trial)) {
      scored[{trial.sweep, trial.point}].insert(dump_line(trial.axes.at(kFoldAxis)));
    }
  }
  const bool alike = std::all_of(scored.begin(), scored.end(),
                                 [&](const auto& entry) { return entry.second == scored.begin()->second; });
  if (!alike) {
    report.notes.push_back("not all settings have been scored on the same folds: their means are of other scans");
  }
}

void label_axes(std::vector<ReportAxis>& axes) {
  const auto short_form = [](const std::string& pointer) {
    const std::size_t second = pointer.find('/', 1);
    return second == std::string::npos ? pointer : pointer.substr(second + 1);
  };
  std::map<std::string, int> uses;
  for (const ReportAxis& axis : axes) {
    ++uses[short_form(axis.pointer)];
  }
  for (ReportAxis& axis : axes) {
    const std::string label = short_form(axis.pointer);
    axis.label = uses[label] > 1 ? axis.pointer : label;
  }
}

}  // namespace regatta
