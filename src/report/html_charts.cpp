#include "report/html_charts.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "report/chart.hpp"
#include "report/format.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

constexpr std::size_t kMostPoints = 240;  // of a line; all values are in report.json
constexpr std::size_t kColours = 6;

std::string trial_hint(const Report& report, std::size_t index) {
  const ReportTrial& trial = report.trials[index];
  std::string hint = report.trial_name(index);
  hint += report.axes.empty() ? "" : ", " + setting_text(report, trial);
  return trial.objective ? str(hint, ": ", report.metric, " ", number_text(*trial.objective)) : hint;
}

ChartSeries curve_series(const Report& report, std::size_t index, const Curve& curve) {
  ChartSeries series;
  series.colour = colour_of(report, index);
  series.key = point_key(report.trials[index].sweep, report.trials[index].point);
  series.hints = {trial_hint(report, index)};
  series.name = report.trial_name(index);
  series.aside = has_failed(report.trials[index]);
  const std::size_t stride = curve.step.size() / kMostPoints + 1;
  for (std::size_t i = 0; i < curve.step.size(); ++i) {
    // The last value is always drawn.
    if (i % stride == 0 || i + 1 == curve.step.size()) {
      series.x.push_back(static_cast<double>(curve.step[i]));
      series.y.push_back(curve.value[i]);
    }
  }
  return series;
}

std::string curves_figure(const Report& report, const std::string& title, const std::string& y_label,
                          Curve ReportTrial::*curve) {
  std::vector<ChartSeries> series;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    series.push_back(curve_series(report, i, report.trials[i].*curve));
  }
  return chart_figure({title, "step", y_label, false, {}, true, {}}, series);
}

/// Numbers as they are; anything else by its place among the distinct values, in the order of their texts.
struct AxisPlaces {
  std::vector<std::string> names;  ///< empty: numeric
  std::map<std::string, double> place;
};

AxisPlaces places_of(const Report& report, const ReportAxis& axis) {
  AxisPlaces places;
  if (is_numeric(report, axis)) {
    return places;
  }
  std::set<std::string> texts;
  for (const ReportTrial& trial : report.trials) {
    texts.insert(axis_text(trial, axis));
  }
  for (const std::string& text : texts) {
    places.place[text] = static_cast<double>(places.names.size());
    places.names.push_back(text);
  }
  return places;
}

std::string axis_figure(const Report& report, const ReportAxis& axis) {
  const AxisPlaces places = places_of(report, axis);
  std::vector<ChartSeries> series;
  std::set<double> values;
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    const ReportTrial& trial = report.trials[i];
    const Json value = axis_value(trial, axis);
    if (!trial.objective || (places.names.empty() && !value.is_number())) {
      continue;
    }
    ChartSeries one;
    one.line = false;
    one.colour = colour_of(report, i);
    one.key = point_key(trial.sweep, trial.point);
    one.x = {places.names.empty() ? value.get<double>() : places.place.at(axis_text(trial, axis))};
    values.insert(one.x.front());
    one.y = {*trial.objective};
    one.hints = {trial_hint(report, i)};
    one.name = report.trial_name(i);
    series.push_back(std::move(one));
  }
  ChartOptions options{str(report.metric, has_replicates(report) ? " of each trial" : "", " against ", axis.label),
                       axis.label,
                       metric_title(report.metric),
                       axis.log,
                       places.names,
                       false,
                       {}};
  options.x_log = axis.log && places.names.empty();
  options.x_ticks = values.size() <= 6 ? std::vector<double>(values.begin(), values.end()) : std::vector<double>();
  return chart_figure(options, series);
}

std::string history_figure(const Report& report) {
  ChartSeries best;
  best.colour = 1;
  std::vector<ChartSeries> series;
  for (std::size_t i = 0; i < report.history.size(); ++i) {
    const ReportHistory& row = report.history[i];
    const auto place = static_cast<double>(i + 1);
    if (i > 0) {
      best.x.push_back(place);
      best.y.push_back(report.history[i - 1].best);
    }
    best.x.push_back(place);
    best.y.push_back(row.best);
    ChartSeries one;
    one.line = false;
    one.colour = colour_of(report, row.trial);
    one.key = point_key(report.trials[row.trial].sweep, report.trials[row.trial].point);
    one.x = {place};
    one.y = {row.objective};
    one.hints = {trial_hint(report, row.trial)};
    one.name = report.trial_name(row.trial);
    series.push_back(std::move(one));
  }
  series.push_back(std::move(best));
  const std::string title = has_replicates(report)
                                ? str("Each trial's ", report.metric, ", and the mean of the point that stood first")
                                : str("Best ", report.metric, " so far");
  return chart_figure({title, "finished trials", metric_title(report.metric), false, {}, true, {}}, series);
}

}  // namespace

int colour_of(const Report& report, std::size_t trial) {
  const ReportTrial& row = report.trials[trial];
  for (std::size_t i = 0; i < report.ranking.size() && i < kColours; ++i) {
    const ReportPoint& point = report.ranking[i];
    if (point.rank > 0 && point.sweep == row.sweep && point.point == row.point) {
      return static_cast<int>(i) + 1;
    }
  }
  return 0;
}

std::string point_key(std::size_t sweep, std::int64_t point) {
  return str(sweep, "-", point);
}

std::string legend_html(const Report& report) {
  std::string out = "<p class=\"legend\">";
  bool others = false;
  for (const ReportPoint& point : report.ranking) {
    const std::size_t shown = shown_trial(point);
    if (colour_of(report, shown) == 0) {
      others = true;
      continue;
    }
    out += str("<span data-key=\"", point_key(point.sweep, point.point), "\"><i class=\"dot k",
               colour_of(report, shown), "\"></i>");
    out += html_escape(str(point.rank, ". ", trials_text(report, point))) + "</span>\n";
  }
  return out + (others ? "<span><i class=\"dot k0\"></i>others</span>" : "") + "</p>\n";
}

std::string charts_html(const Report& report) {
  std::string out = legend_html(report) + "<div class=\"charts\">\n";
  out += curves_figure(report, str("Validation ", report.metric, has_replicates(report) ? " of each trial" : ""),
                       metric_title(report.metric), &ReportTrial::validation);
  out += curves_figure(report, "Training loss", "loss", &ReportTrial::train_loss);
  for (const ReportAxis& axis : report.axes) {
    out += axis_figure(report, axis);
  }
  return out + history_figure(report) + "</div>\n";
}

}  // namespace regatta
