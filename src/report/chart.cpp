#include "report/chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "regatta/base/text.hpp"
#include "report/format.hpp"

namespace regatta {
namespace {

// The drawing area inside a 560 x 320 picture; the rest holds labels.
constexpr double kWidth = 560.0;
constexpr double kHeight = 320.0;
constexpr double kLeft = 66.0;
constexpr double kRight = 546.0;
constexpr double kTop = 12.0;
constexpr double kBottom = 272.0;

std::string pixel(double value) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.1f", value);
  std::string text = buffer.data();
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

/// A tick's number without digits that rounding leaves behind.
std::string tick_text(double value) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.6g", value);
  return buffer.data();
}

/// Maps values to pixels.
struct Scale {
  double low = 0.0;
  double high = 1.0;
  double from = 0.0;
  double to = 1.0;
  bool log = false;

  bool holds(double value) const { return std::isfinite(value) && (!log || value > 0); }

  double at(double value) const {
    const double share = log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return from + share * (to - from);
  }
};

/// Widens a range so that nothing lies on its edge; a single value gets a range around it.
void widen(Scale& scale, double share) {
  if (scale.log) {
    const double factor = scale.high > scale.low ? std::pow(scale.high / scale.low, share) : 2.0;
    scale.low /= factor;
    scale.high *= factor;
    return;
  }
  const double extent = scale.high - scale.low;
  const double extra = extent > 0 ? extent * share : std::max(std::abs(scale.low) * 0.05, 1e-6);
  scale.low -= extra;
  scale.high += extra;
}

struct Scales {
  Scale x;
  Scale y;
  bool empty = true;
};

bool is_drawn(const Scales& scales, double x, double y) {
  return scales.x.holds(x) && scales.y.holds(y);
}

Scales make_scales(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  Scales scales;
  scales.x = {HUGE_VAL, -HUGE_VAL, kLeft, kRight, options.x_log};
  scales.y = {HUGE_VAL, -HUGE_VAL, kBottom, kTop, false};
  bool only_lines = true;
  for (const ChartSeries& one : series) {
    only_lines = only_lines && one.line;
    for (std::size_t i = 0; i < one.x.size(); ++i) {
      if (is_drawn(scales, one.x[i], one.y[i])) {
        scales.empty = false;
        scales.x.low = std::min(scales.x.low, one.x[i]);
        scales.x.high = std::max(scales.x.high, one.x[i]);
        scales.y.low = std::min(scales.y.low, one.y[i]);
        scales.y.high = std::max(scales.y.high, one.y[i]);
      }
    }
  }
  if (scales.empty) {
    return scales;
  }
  if (!options.x_names.empty()) {
    scales.x.low = -0.5;
    scales.x.high = static_cast<double>(options.x_names.size()) - 0.5;
  } else if (!only_lines || scales.x.low == scales.x.high) {
    widen(scales.x, 0.06);
  }
  widen(scales.y, 0.06);
  return scales;
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view text, std::string_view more = "") {
  return str("<text x=\"", pixel(x), "\" y=\"", pixel(y), "\" text-anchor=\"", anchor, "\"", more, ">",
             html_escape(text), "</text>");
}

std::vector<double> x_tick_values(const ChartOptions& options, const Scale& scale) {
  constexpr double kRoom = 48.0;
  const auto too_close = [&](double a, double b) {
    return !scale.holds(a) || !scale.holds(b) || scale.at(b) - scale.at(a) < kRoom;
  };
  const std::vector<double>& given = options.x_ticks;
  if (!given.empty() && std::adjacent_find(given.begin(), given.end(), too_close) == given.end()) {
    return given;
  }
  std::vector<double> values = scale.log ? log_ticks(scale.low, scale.high, 7) : round_ticks(scale.low, scale.high, 7);
  std::erase_if(values, [&](double value) { return options.x_whole && value != std::floor(value); });
  return values;
}

std::string x_axis(const ChartOptions& options, const Scale& scale) {
  std::string out;
  const auto tick = [&](double value, std::string_view label) {
    const double x = scale.at(value);
    out += str("<path class=\"grid\" d=\"M", pixel(x), " ", pixel(kTop), "V", pixel(kBottom), "\"/>");
    out += text_at(x, kBottom + 16, "middle", label);
  };
  if (!options.x_names.empty()) {
    const std::size_t stride = options.x_names.size() / 10 + 1;
    for (std::size_t i = 0; i < options.x_names.size(); i += stride) {
      tick(static_cast<double>(i), one_line(options.x_names[i], 14));
    }
    return out;
  }
  for (const double value : x_tick_values(options, scale)) {
    tick(value, tick_text(value));
  }
  return out;
}

std::string y_axis(const Scale& scale) {
  std::string out;
  for (const double value : round_ticks(scale.low, scale.high, 6)) {
    const double y = scale.at(value);
    out += str("<path class=\"grid\" d=\"M", pixel(kLeft), " ", pixel(y), "H", pixel(kRight), "\"/>");
    out += text_at(kLeft - 7, y + 4, "end", tick_text(value));
  }
  return out;
}

std::string opening(const ChartSeries& series) {
  return str("<g class=\"k", series.colour, "\" data-key=\"", html_escape(series.key), "\">");
}

std::string line_of(const ChartSeries& series, const Scales& scales) {
  std::string path;
  bool pen_down = false;
  std::size_t drawn = 0;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (!is_drawn(scales, series.x[i], series.y[i])) {
      pen_down = false;
      continue;
    }
    path += str(pen_down ? "L" : "M", pixel(scales.x.at(series.x[i])), " ", pixel(scales.y.at(series.y[i])));
    pen_down = true;
    ++drawn;
  }
  if (drawn == 0) {
    return "";
  }
  // A path of one point has no length; round caps make it a dot.
  path += drawn == 1 ? "h0" : "";
  const std::string hint = series.hints.empty() ? "" : str("<title>", html_escape(series.hints.front()), "</title>");
  return str(opening(series), "<path class=\"line\" d=\"", path, "\">", hint, "</path></g>\n");
}

std::string points_of(const ChartSeries& series, const Scales& scales) {
  std::string out;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (is_drawn(scales, series.x[i], series.y[i])) {
      const std::string hint = i < series.hints.size() ? str("<title>", html_escape(series.hints[i]), "</title>") : "";
      out += str("<circle cx=\"", pixel(scales.x.at(series.x[i])), "\" cy=\"", pixel(scales.y.at(series.y[i])),
                 "\" r=\"4.5\">", hint, "</circle>");
    }
  }
  return out.empty() ? out : str(opening(series), out, "</g>\n");
}

}  // namespace

std::vector<double> round_ticks(double low, double high, int wanted) {
  std::vector<double> ticks;
  if (!(high > low) || wanted < 1) {
    return ticks;
  }
  const double raw = (high - low) / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double share = raw / power;
  const double step = power * (share < 1.5 ? 1.0 : share < 3.5 ? 2.0 : share < 7.5 ? 5.0 : 10.0);
  for (double index = std::ceil(low / step); index * step <= high; index += 1.0) {
    ticks.push_back(index == 0.0 ? 0.0 : index * step);
  }
  return ticks;
}

std::vector<double> log_ticks(double low, double high, int wanted) {
  if (!(low > 0) || !(high > low)) {
    return {};
  }
  if (high / low < 10.0) {
    return round_ticks(low, high, wanted);
  }
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  const bool only_powers = std::log10(high / low) * 3.0 > wanted + 1;
  const int stride = std::max(1, (last - first) / wanted);
  std::vector<double> ticks;
  for (int power = first; power <= last; power += stride) {
    for (const double digit : only_powers ? std::vector<double>{1.0} : std::vector<double>{1.0, 2.0, 5.0}) {
      const double value = digit * std::pow(10.0, power);
      if (value >= low && value <= high) {
        ticks.push_back(value);
      }
    }
  }
  return ticks;
}

std::string chart_figure(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  const Scales scales = make_scales(options, series);
  std::string out = str("<figure>\n<figcaption>", html_escape(options.title), "</figcaption>\n");
  if (scales.empty) {
    return out + "<p class=\"none\">nothing to draw yet</p>\n</figure>\n";
  }
  out += str("<svg viewBox=\"0 0 ", pixel(kWidth), " ", pixel(kHeight), "\" role=\"img\" aria-label=\"",
             html_escape(options.title), "\">\n");
  out += x_axis(options, scales.x) + "\n" + y_axis(scales.y) + "\n";
  out += text_at((kLeft + kRight) / 2, kHeight - 8, "middle", options.x_label, " class=\"label\"");
  const std::string turned = str(" class=\"label\" transform=\"rotate(-90 14 ", pixel((kTop + kBottom) / 2), ")\"");
  out += text_at(14, (kTop + kBottom) / 2, "middle", options.y_label, turned) + "\n";
  // Grey first, so that the best lie on top.
  for (int colour = 0; colour <= 6; ++colour) {
    const int wanted = colour == 0 ? 0 : 7 - colour;
    for (const ChartSeries& one : series) {
      if (one.colour == wanted) {
        out += one.line ? line_of(one, scales) : points_of(one, scales);
      }
    }
  }
  return out + "</svg>\n</figure>\n";
}

}  // namespace regatta
