// Statistics over replicates, the ranking of points and the history of the best. Pure functions over a Report.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "regatta/report/pareto.hpp"
#include "regatta/report/report.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

using PointKey = std::pair<std::size_t, std::int64_t>;

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

bool better(double a, double b, bool maximise) {
  return maximise ? a > b : a < b;
}

std::optional<double> finite_objective(const ReportTrial& trial) {
  if (trial.objective && std::isfinite(*trial.objective)) {
    return trial.objective;
  }
  return std::nullopt;
}

/// The objective before the first step; nothing if it was not measured.
std::optional<double> start_of(const Report& report, const ReportTrial& trial) {
  if (!trial.result) {
    return std::nullopt;
  }
  const auto initial = trial.result->initial.find(report.metric);
  return initial != trial.result->initial.end() && std::isfinite(initial->second) ? std::optional(initial->second)
                                                                                  : std::nullopt;
}

bool beats_start(const Report& report, const ReportTrial& trial) {
  const auto start = start_of(report, trial);
  return start ? better(*trial.objective, *start, report.maximise) : !trial.result || trial.result->best_step > 0;
}

/// Mean of objective minus start, if that is known of all of them.
std::optional<double> gain_of(const Report& report, const std::vector<std::size_t>& scored) {
  double sum = 0.0;
  for (const std::size_t index : scored) {
    const auto start = start_of(report, report.trials[index]);
    if (!start) {
      return std::nullopt;
    }
    sum += *report.trials[index].objective - *start;
  }
  return scored.empty() ? std::nullopt : std::optional(sum / static_cast<double>(scored.size()));
}

/// Metrics at the best checkpoints of trials that have ended, NaN where one has no value.
std::map<std::string, Summary> summarise_metrics(const Report& report, const std::vector<std::size_t>& ended) {
  std::set<std::string> names;
  for (const std::size_t index : ended) {
    if (const auto& result = report.trials[index].result) {
      for (const auto& [name, value] : result->best) {
        names.insert(name);
      }
    }
  }
  std::map<std::string, Summary> summaries;
  for (const std::string& name : names) {
    std::vector<double> values;
    for (const std::size_t index : ended) {
      const auto& result = report.trials[index].result;
      const bool has = result && result->best.contains(name);
      values.push_back(has ? result->best.at(name) : kNoValue);
    }
    summaries[name] = summarise(values);
  }
  return summaries;
}

/// Replicates of one point, with their statistics.
ReportPoint summarise_point(const Report& report, const PointKey& key, std::vector<std::size_t> trials) {
  ReportPoint point;
  point.sweep = key.first;
  point.point = key.second;
  point.trials = std::move(trials);
  std::vector<std::size_t> ended;
  std::vector<std::size_t> scored;
  std::vector<double> objectives;
  for (const std::size_t index : point.trials) {
    const ReportTrial& trial = report.trials[index];
    if (!trial.has_ended()) {
      continue;
    }
    const auto objective = finite_objective(trial);
    ended.push_back(index);
    objectives.push_back(objective.value_or(kNoValue));
    if (objective) {
      scored.push_back(index);
      const bool is_best =
          !point.best_trial || better(*objective, *report.trials[*point.best_trial].objective, report.maximise);
      point.best_trial = is_best ? index : point.best_trial;
    }
  }
  point.objective = summarise(objectives);
  point.best = summarise_metrics(report, ended);
  point.gain = gain_of(report, scored);
  return point;
}

/// A metric over a point's trials; nothing unless all that have ended have a finite value.
std::optional<double> complete_mean(const Report& report, const ReportPoint& point, const std::string& metric) {
  if (metric == report.metric) {
    return point.objective.complete() ? point.objective.mean : std::nullopt;
  }
  const auto found = point.best.find(metric);
  return found != point.best.end() && found->second.complete() ? found->second.mean : std::nullopt;
}

void find_violations(const Report& report, ReportPoint& point) {
  if (point.objective.n == 0) {
    return;
  }
  for (const Constraint& constraint : report.constraints) {
    const auto found = point.best.find(constraint.metric);
    const std::optional<double> value = constraint.metric == report.metric ? point.objective.mean
                                        : found == point.best.end()        ? std::nullopt
                                                                           : found->second.mean;
    if (const double violation = constraint.violation(value); violation > 0.0) {
      point.violations.push_back({constraint, value});
      point.violation += violation;
    }
  }
}

/// Fronts of the points that keep to all limits and have a finite value of every objective.
void find_fronts(Report& report) {
  report.hypervolume.reset();
  const std::vector<RankedObjective> objectives = report.ranked_by();
  if (objectives.size() < 2) {
    return;
  }
  Losses reference;
  for (const RankedObjective& objective : objectives) {
    const double worst = objective.reference.value_or(0.0);
    reference.push_back(objective.maximise() ? -worst : worst);
  }
  std::vector<ReportPoint*> points;
  std::vector<Losses> losses;
  for (ReportPoint& point : report.ranking) {
    Losses loss;
    for (const RankedObjective& objective : objectives) {
      if (const auto mean = complete_mean(report, point, objective.metric)) {
        loss.push_back(objective.maximise() ? -*mean : *mean);
      }
    }
    if (point.objective.n > 0 && point.violations.empty() && loss.size() == objectives.size()) {
      points.push_back(&point);
      losses.push_back(std::move(loss));
    }
  }
  const std::vector<int> fronts = fronts_of(losses);
  const int last = fronts.empty() ? 0 : *std::max_element(fronts.begin(), fronts.end());
  for (int front = 1; front <= last; ++front) {
    std::vector<ReportPoint*> members;
    std::vector<Losses> own;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (fronts[i] == front) {
        members.push_back(points[i]);
        own.push_back(losses[i]);
      }
    }
    const std::vector<double> contributions = hypervolume_contributions(own, reference);
    for (std::size_t i = 0; i < members.size(); ++i) {
      members[i]->front = front;
      members[i]->hypervolume = contributions[i];
    }
    if (front == 1) {
      report.hypervolume = hypervolume(own, reference);
    }
  }
}

/// Whether a stands before b; neither before the other: they are equal.
bool stands_before(const Summary& a, const Summary& b, bool maximise) {
  if (a.n == 0 || b.n == 0) {
    return a.n > 0 && b.n == 0;
  }
  const std::int64_t share_a = std::int64_t{a.n} * b.of;  // n / of, brought to one denominator
  const std::int64_t share_b = std::int64_t{b.n} * a.of;
  return share_a != share_b ? share_a > share_b : better(*a.mean, *b.mean, maximise);
}

/// The same of points, with their constraints and fronts.
bool stands_before(const ReportPoint& a, const ReportPoint& b, bool maximise) {
  if (a.objective.n == 0 || b.objective.n == 0) {
    return a.objective.n > 0 && b.objective.n == 0;
  }
  if (a.violation != b.violation) {
    return a.violation < b.violation;
  }
  if (a.front != b.front) {
    return a.front > 0 && (b.front == 0 || a.front < b.front);
  }
  return a.front > 0 && a.hypervolume != b.hypervolume ? a.hypervolume > b.hypervolume
                                                       : stands_before(a.objective, b.objective, maximise);
}

/// Points while their trials end one after another.
class Standings {
 public:
  explicit Standings(const Report& report) : report_(report) {
    for (const ReportPoint& point : report.ranking) {
      for (const std::size_t index : point.trials) {
        point_of_[index] = &point;
      }
    }
  }

  /// Takes a trial's objective in. @return the mean of the point that now stands first
  double add(std::size_t trial) {
    const ReportPoint* point = point_of_.at(trial);
    std::vector<double>& values = values_[point];
    const auto summary_now = [&] {
      Summary summary = summarise(values);
      summary.of = summary.n + point->objective.of - point->objective.n;  // those without a value count from the start
      return summary;
    };
    if (!values.empty()) {
      standing_.erase(standing_.find({summary_now(), point}));
    }
    values.push_back(*report_.trials[trial].objective);
    standing_.insert({summary_now(), point});
    return *standing_.begin()->first.mean;
  }

 private:
  using Entry = std::pair<Summary, const ReportPoint*>;
  struct Before {
    bool maximise;
    bool operator()(const Entry& a, const Entry& b) const {
      if (a.second->violations.empty() != b.second->violations.empty()) {
        return a.second->violations.empty();
      }
      const bool a_first = stands_before(a.first, b.first, maximise);
      return a_first != stands_before(b.first, a.first, maximise) ? a_first : a.second < b.second;
    }
  };

  const Report& report_;
  std::map<std::size_t, const ReportPoint*> point_of_;
  std::map<const ReportPoint*, std::vector<double>> values_;
  std::set<Entry, Before> standing_{Before{report_.maximise}};
};

void fill_history(Report& report) {
  struct Finished {
    std::string when;
    std::size_t trial;
  };
  std::vector<Finished> finished;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    if (report.trials[i].has_ended() && finite_objective(report.trials[i])) {
      const auto& result = report.trials[i].result;
      finished.push_back({result ? result->provenance.finished_utc : "", i});
    }
  }
  std::stable_sort(finished.begin(), finished.end(),
                   [](const Finished& a, const Finished& b) { return a.when < b.when; });
  report.history.clear();
  Standings standings(report);
  for (const Finished& row : finished) {
    report.history.push_back({row.trial, *report.trials[row.trial].objective, standings.add(row.trial)});
  }
}

void fill_totals(Report& report) {
  report.totals = {};
  report.totals.ranked = static_cast<std::int64_t>(report.history.size());
  for (const ReportHistory& row : report.history) {
    report.totals.improved += beats_start(report, report.trials[row.trial]) ? 1 : 0;
  }
  for (const ReportTrial& trial : report.trials) {
    ++report.totals.by_status[trial.status];
    if (trial.result && std::isfinite(trial.result->train_s)) {
      report.totals.train_s += trial.result->train_s;
    }
  }
  if (!report.ranking.empty()) {
    report.totals.gain = report.ranking.front().gain;
  }
}

}  // namespace

bool ReportTrial::has_ended() const {
  return trial_status_from(status).has_value();
}

Summary summarise(const std::vector<double>& values) {
  Summary summary;
  summary.of = static_cast<int>(values.size());
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
    find_violations(report, report.ranking.back());
  }
  find_fronts(report);
  const auto before = [&report](const ReportPoint& a, const ReportPoint& b) {
    return stands_before(a, b, report.maximise);
  };
  std::stable_sort(report.ranking.begin(), report.ranking.end(), before);
  for (std::size_t i = 0; i < report.ranking.size(); ++i) {
    ReportPoint& point = report.ranking[i];
    const bool shares = i > 0 && !before(report.ranking[i - 1], point);
    point.rank = point.objective.n == 0 ? 0 : shares ? report.ranking[i - 1].rank : static_cast<int>(i) + 1;
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
    return pointer.substr(second == std::string::npos ? 1 : second + 1);
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
