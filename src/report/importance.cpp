#include "regatta/report/importance.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "report/axis_domain.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

constexpr int kCells = 50;
constexpr double kPriorWeight = 1.0;
constexpr double kLeastDensity = 1e-12;
constexpr std::size_t kFewPoints = 2;   // fewer that have an axis say nothing of it
constexpr std::size_t kWantedBest = 5;  // fewer among the best make the estimate unsteady

/// Number of values in each cell of an axis.
std::vector<double> counts_in_cells(const ImportanceAxis& axis, const std::vector<double>& values) {
  if (!axis.numeric) {
    std::vector<double> counts(static_cast<std::size_t>(axis.choices), 0.0);
    for (const double value : values) {
      counts.at(static_cast<std::size_t>(value)) += 1.0;
    }
    return counts;
  }
  int cells = kCells;
  if (axis.whole && axis.log) {
    cells = std::min(cells, static_cast<int>(std::ceil(std::log2(axis.high - axis.low + 1.0))) + 1);
  } else if (axis.whole) {
    cells = std::min(cells, static_cast<int>(std::lround(axis.high - axis.low)) + 1);
  }
  const double low = axis.log ? std::log(axis.low) : axis.low;
  const double high = axis.log ? std::log(axis.high) : axis.high;
  const double width = (high - low) / (cells - 1);
  std::vector<double> counts(static_cast<std::size_t>(cells), 0.0);
  for (const double value : values) {
    const double place = ((axis.log ? std::log(value) : value) - low) / width;
    counts[static_cast<std::size_t>(std::clamp(std::ceil(place - 0.5), 0.0, cells - 1.0))] += 1.0;
  }
  return counts;
}

/// Share of a normal distribution between two ends.
double normal_mass(double low, double high, double mean, double sigma) {
  const double scale = sigma * std::sqrt(2.0);
  const double a = (low - mean) / scale;
  const double b = (high - mean) / scale;
  // Both ends in one tail: by that tail, where the difference keeps its digits.
  return a > 0.0 ? 0.5 * (std::erfc(a) - std::erfc(b)) : 0.5 * (std::erfc(-b) - std::erfc(-a));
}

/// Bandwidth by Scott's rule, in cells.
double bandwidth(const std::vector<double>& cells, const std::vector<double>& weights) {
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  double mean = 0.0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    mean += cells[i] * weights[i] / all;
  }
  double squares = 0.0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    squares += (cells[i] - mean) * (cells[i] - mean) * weights[i];
  }
  std::vector<double> sums(weights.size());
  std::partial_sum(weights.begin(), weights.end(), sums.begin());
  const auto first = std::lower_bound(sums.begin(), sums.end(), std::floor(all / 4.0)) - sums.begin();
  const auto third = std::upper_bound(sums.begin(), sums.end(), std::floor(all * 3.0 / 4.0)) - sums.begin();
  const auto last = static_cast<std::ptrdiff_t>(cells.size()) - 1;
  const double quartiles =
      cells[static_cast<std::size_t>(std::min(last, third))] - cells[static_cast<std::size_t>(first)];
  const double deviation = std::sqrt(squares / std::max(1.0, all - 1.0));
  const double sigma = 1.059 * std::min(quartiles / 1.34, deviation) * std::pow(all, -0.2);
  return std::max(sigma, 0.5 / 1.64);  // 90 % of a kernel stay within its cell
}

/// Parzen estimate of counts, on their cells.
std::vector<double> density(const ImportanceAxis& axis, const std::vector<double>& counts) {
  std::vector<double> cells;
  std::vector<double> weights;
  for (std::size_t cell = 0; cell < counts.size(); ++cell) {
    if (counts[cell] > 0.0) {
      cells.push_back(static_cast<double>(cell));
      weights.push_back(counts[cell]);
    }
  }
  const double all = std::accumulate(weights.begin(), weights.end(), kPriorWeight);
  const auto size = static_cast<double>(counts.size());
  const auto kernels = static_cast<double>(cells.size() + 1);
  const double sigma = axis.numeric ? bandwidth(cells, weights) : 0.0;
  const auto kernel_at = [&](double cell, double mean, double width) {
    return normal_mass(cell - 0.5, cell + 0.5, mean, width) / normal_mass(-0.5, size - 0.5, mean, width);
  };
  std::vector<double> values(counts.size(), 0.0);
  for (std::size_t cell = 0; cell < counts.size(); ++cell) {
    const auto at = static_cast<double>(cell);
    double sum = kPriorWeight * (axis.numeric ? kernel_at(at, (size - 1.0) / 2.0, size) : 1.0 / size);
    for (std::size_t k = 0; k < cells.size(); ++k) {
      const double kernel = axis.numeric ? kernel_at(at, cells[k], sigma)
                                         : ((cells[k] == at ? 1.0 : 0.0) + kPriorWeight / kernels) /
                                               (1.0 + size * kPriorWeight / kernels);
      sum += weights[k] * kernel;
    }
    values[cell] = sum / all + kLeastDensity;
  }
  return values;
}

double divergence(const ImportanceAxis& axis, const std::vector<double>& best, const std::vector<double>& all) {
  const std::vector<double> p_best = density(axis, counts_in_cells(axis, best));
  const std::vector<double> p_all = density(axis, counts_in_cells(axis, all));
  double sum = 0.0;
  for (std::size_t cell = 0; cell < p_all.size(); ++cell) {
    const double ratio = p_best[cell] / p_all[cell] - 1.0;
    sum += p_all[cell] * ratio * ratio;
  }
  return sum;
}

/// Losses up to this one are the best.
double cut_of(const std::vector<ImportancePoint>& points) {
  std::vector<double> losses;
  for (const ImportancePoint& point : points) {
    losses.push_back(point.loss);
  }
  std::sort(losses.begin(), losses.end());
  return losses.at(best_of(losses.size()) - 1);
}

bool has_one_value(const ImportanceAxis& axis) {
  return axis.numeric ? axis.low == axis.high : axis.choices < 2;
}

/// An axis and its values, one per point.
struct AxisValues {
  ImportanceAxis axis;
  std::vector<std::optional<double>> values;
};

AxisValues values_of(const Report& report, const ReportAxis& axis, const std::vector<const ReportPoint*>& points) {
  AxisValues out;
  std::vector<Json> values;
  for (const ReportPoint* point : points) {
    values.push_back(axis_value(report.trials[point->trials.front()], axis));
  }
  if (const auto range = range_of(report, axis.pointer, values)) {
    out.axis = {true, range->low, range->high, range->log, range->whole, 0};
    for (const Json& value : values) {
      out.values.push_back(value.is_null() ? std::nullopt : std::optional(value.get<double>()));
    }
    return out;
  }
  const std::vector<Json> choices = choices_of(report, axis.pointer, values);
  std::map<std::string, double> index;
  for (const Json& choice : choices) {
    index.emplace(dump_canonical(choice), static_cast<double>(index.size()));
  }
  for (const Json& value : values) {
    out.values.push_back(value.is_null() ? std::nullopt : std::optional(index.at(dump_canonical(value))));
  }
  out.axis.choices = static_cast<int>(choices.size());
  return out;
}

}  // namespace

std::size_t best_of(std::size_t n) {
  return static_cast<std::size_t>(std::ceil(kImportanceQuantile * static_cast<double>(n)));
}

std::vector<double> ped_anova(const std::vector<ImportanceAxis>& axes, const std::vector<ImportancePoint>& points) {
  std::vector<double> importance(axes.size(), 0.0);
  if (points.size() < 2) {
    return importance;
  }
  const double cut = cut_of(points);
  const auto is_best = [cut](const ImportancePoint& point) { return point.loss <= cut; };
  const auto all_best = static_cast<double>(std::count_if(points.begin(), points.end(), is_best));
  for (std::size_t a = 0; a < axes.size(); ++a) {
    std::vector<double> best;
    std::vector<double> all;
    for (const ImportancePoint& point : points) {
      if (const auto& value = point.values.at(a)) {
        all.push_back(*value);
        if (is_best(point)) {
          best.push_back(*value);
        }
      }
    }
    if (has_one_value(axes[a]) || best.empty() || all.size() < kFewPoints) {
      continue;
    }
    const double share_best = static_cast<double>(best.size()) / all_best;
    const double share_all = static_cast<double>(all.size()) / static_cast<double>(points.size());
    const double quantile = all_best / static_cast<double>(points.size());
    importance[a] = quantile * quantile * share_best * share_best / share_all * divergence(axes[a], best, all);
  }
  return importance;
}

void add_importance(Report& report) {
  report.importance = {};
  std::vector<const ReportPoint*> points;
  for (const ReportPoint& point : report.ranking) {
    if (point.objective.mean && point.objective.n > 0) {
      points.push_back(&point);
    }
  }
  const std::vector<ReportAxis> axes = point_axes(report);
  report.importance.points = static_cast<int>(points.size());
  if (axes.empty() || points.size() < 2) {
    return;
  }
  std::vector<ImportanceAxis> kinds;
  std::vector<ImportancePoint> rows(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    rows[i].loss = report.maximise ? -*points[i]->objective.mean : *points[i]->objective.mean;
  }
  for (const ReportAxis& axis : axes) {
    AxisValues values = values_of(report, axis, points);
    kinds.push_back(values.axis);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].values.push_back(values.values[i]);
    }
  }
  const double cut = cut_of(rows);
  const auto best =
      std::count_if(rows.begin(), rows.end(), [cut](const ImportancePoint& row) { return row.loss <= cut; });
  report.importance.best = static_cast<int>(best);
  const std::vector<double> importance = ped_anova(kinds, rows);
  const double sum = std::accumulate(importance.begin(), importance.end(), 0.0);
  for (std::size_t a = 0; a < axes.size(); ++a) {
    report.importance.axes.push_back({axes[a].pointer, sum > 0.0 ? importance[a] / sum : 0.0});
  }
  std::stable_sort(report.importance.axes.begin(), report.importance.axes.end(),
                   [](const AxisImportance& a, const AxisImportance& b) { return a.importance > b.importance; });
  if (static_cast<std::size_t>(best) < kWantedBest) {
    report.importance.warning =
        str("only ", best, best == 1 ? " point is" : " points are", " among the best of ", points.size(),
            ": too few to trust; from about ", kWantedBest * 10, " points on these numbers hold");
  }
}

std::string importance_text(const Report& report) {
  const ReportImportance& importance = report.importance;
  if (importance.axes.empty()) {
    return "";
  }
  TextTable table;
  table.column("axis", TextTable::Align::kLeft);
  table.column("importance", TextTable::Align::kRight);
  for (const AxisImportance& row : importance.axes) {
    const auto axis = std::find_if(report.axes.begin(), report.axes.end(),
                                   [&](const ReportAxis& one) { return one.pointer == row.pointer; });
    table.row({one_line(axis == report.axes.end() ? row.pointer : axis->label, 40), fixed_text(row.importance, 3)});
  }
  std::string text = str("what the best ", importance.best, " of ", importance.points,
                         " points have in common (PED-ANOVA):\n", table.text());
  if (!importance.warning.empty()) {
    text += str("warning: ", importance.warning, '\n');
  }
  return text;
}

}  // namespace regatta
