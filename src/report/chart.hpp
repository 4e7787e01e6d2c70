// Charts as inline SVG: lines and points over a linear, logarithmic or named x axis. Knows nothing of reports; colours
// are classes k0 (grey) .. k6 of the page's style sheet.
#pragma once

#include <string>
#include <vector>

namespace regatta {

struct ChartSeries {
  std::vector<double> x;
  std::vector<double> y;
  int colour = 0;                  ///< 1..6, 0 = grey
  bool line = true;                ///< false: points
  std::string key;                 ///< what a table row of the same thing has as data-key
  std::vector<std::string> hints;  ///< shown by the browser: one for a line, one per point otherwise
  std::string name{};              ///< for the line under the picture that tells what lies outside
  bool aside = false;              ///< does not widen the y axis, unless all series are so
};

struct ChartOptions {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool x_log = false;
  std::vector<std::string> x_names;  ///< named axis: x is the index
  bool x_whole = false;              ///< whole numbers only
  std::vector<double> x_ticks;       ///< preferred to round ones where their labels have room
};

/// A <figure>. Values that are not finite, and with `x_log` not positive, break a line and are not drawn. The y axis
/// spans what most series have in common: a line that shoots out of it ends at the edge, a point is drawn there, and
/// the caption names them.
std::string chart_figure(const ChartOptions& options, const std::vector<ChartSeries>& series);

/// Round values within [low, high], about `wanted` of them, ascending.
std::vector<double> round_ticks(double low, double high, int wanted);

/// 1, 2, 5 times powers of ten, or only the powers where that would be many; `round_ticks` below one decade.
std::vector<double> log_ticks(double low, double high, int wanted);

}  // namespace regatta
