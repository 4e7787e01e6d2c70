// Tables behind the rows of the leaderboard, as CSV: labels, validation pairs, the hardest 30 %.
#include <functional>
#include <set>

#include "regatta/base/text.hpp"
#include "regatta/report/report.hpp"
#include "report/format.hpp"
#include "report/point_statistics.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

using Fields = std::vector<std::string>;

std::string number_field(const std::optional<double>& value) {
  return value ? to_text(*value) : "";
}

std::string header(const Report& report, const Fields& more) {
  Fields fields = {"rank", "sweep", "point"};
  for (const ReportAxis& axis : point_axes(report)) {
    fields.push_back(csv_text(axis.pointer));
  }
  fields.insert(fields.end(), more.begin(), more.end());
  return join(fields, ",") + "\n";
}

std::string line(const Report& report, const ReportPoint& point, const Fields& more) {
  Fields fields = {point.rank > 0 ? str(point.rank) : "", csv_text(report.sweeps[point.sweep].name), str(point.point)};
  for (const ReportAxis& axis : point_axes(report)) {
    fields.push_back(axis_field(axis_value(report.trials[point.trials.front()], axis)));
  }
  fields.insert(fields.end(), more.begin(), more.end());
  return join(fields, ",") + "\n";
}

Fields summary_fields(const Summary& summary) {
  return {number_field(summary.mean), number_field(summary.std), str(summary.n)};
}

/// A metric before training, over the trials of a point that have measured it.
Summary initial_of(const Report& report, const ReportPoint& point, const std::string& name) {
  std::vector<double> values;
  for (const std::size_t index : point.trials) {
    if (const auto& result = report.trials[index].result; result && result->initial.contains(name)) {
      values.push_back(result->initial.at(name));
    }
  }
  return summarise(values);
}

std::map<PairKey, const PairValues*> by_pair(const std::vector<PairValues>& pairs) {
  std::map<PairKey, const PairValues*> found;
  for (const PairValues& pair : pairs) {
    found[{pair.moving, pair.fixed}] = &pair;
  }
  return found;
}

std::string initial_field(const PairValues* before, const std::string& name) {
  const bool has = before != nullptr && before->values.contains(name);
  return has ? to_text(before->values.at(name)) : "";
}

}  // namespace

std::string labels_csv(const Report& report) {
  std::string text = header(report, {"metric", "label", "mean", "std", "n", "initial"});
  for (const ReportPoint& point : report.ranking) {
    for (const auto& [name, summary] : point.best) {
      const std::size_t slash = name.find('/');
      if (slash == std::string::npos) {
        continue;
      }
      Fields fields = {csv_text(name.substr(0, slash)), csv_text(name.substr(slash + 1))};
      const Fields numbers = summary_fields(summary);
      fields.insert(fields.end(), numbers.begin(), numbers.end());
      fields.push_back(number_field(initial_of(report, point, name).mean));
      text += line(report, point, fields);
    }
  }
  return text;
}

std::string pairs_csv(const Report& report) {
  std::string text = header(report, {"moving", "fixed", "metric", "mean", "std", "n", "initial"});
  const auto before = by_pair(report.difficulty);
  for (const ReportPoint& point : report.ranking) {
    for (const PointPair& pair : pairs_of(report, point)) {
      const auto initial = before.find({pair.moving, pair.fixed});
      for (const auto& [name, summary] : pair.values) {
        if (name.find('/') != std::string::npos) {
          continue;
        }
        Fields fields = {csv_text(pair.moving), csv_text(pair.fixed), csv_text(name)};
        const Fields numbers = summary_fields(summary);
        fields.insert(fields.end(), numbers.begin(), numbers.end());
        fields.push_back(initial_field(initial == before.end() ? nullptr : initial->second, name));
        text += line(report, point, fields);
      }
    }
  }
  return text;
}

std::string hardest_csv(const Report& report) {
  std::string text = header(report, {"metric", "items", "hardest30", "all"});
  for (const ReportPoint& point : report.ranking) {
    for (const auto& [metric, hardest] : point.hardest30) {
      const auto all = point.best.find(metric);
      text += line(report, point,
                   {csv_text(metric), str(hardest.items), to_text(hardest.mean),
                    all == point.best.end() ? "" : number_field(all->second.mean)});
    }
  }
  return text;
}

}  // namespace regatta
