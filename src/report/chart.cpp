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

  /// @return false also for what is too large to be put in proportion to anything
  bool holds(double value) const { return std::abs(value) < 1e100 && (!log || value > 0); }

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

/// The drawn values of one series, without its most extreme ones: the first steps of a training may be far off.
struct Extent {
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
};

Extent extent_of(const ChartSeries& series, const Scales& scales) {
  std::vector<double> values;
  for (std::size_t i = 0; i < series.y.size(); ++i) {
    if (is_drawn(scales, series.x[i], series.y[i])) {
      values.push_back(series.y[i]);
    }
  }
  if (values.empty()) {
    return {};
  }
  std::sort(values.begin(), values.end());
  constexpr std::size_t kFew = 10;
  const std::size_t cut = values.size() < kFew ? 0 : std::max<std::size_t>(1, values.size() / 50);
  return {values[cut], values[values.size() - 1 - cut]};
}

/// The y range of most series. Tukey's way, but by the medians of the series' ends: a fence well outside of these;
/// what lies beyond it does not widen the axis.
Extent common_extent(const std::vector<ChartSeries>& series, const Scales& scales) {
  const bool all_aside = std::all_of(series.begin(), series.end(), [](const ChartSeries& one) { return one.aside; });
  std::vector<double> lows;
  std::vector<double> highs;
  bool lines = true;
  for (const ChartSeries& one : series) {
    const Extent extent = extent_of(one, scales);
    if (extent.low <= extent.high && (all_aside || !one.aside)) {
      lows.push_back(extent.low);
      highs.push_back(extent.high);
      lines = lines && one.line;
    }
  }
  if (lows.empty()) {
    return {scales.y.low, scales.y.high};
  }
  std::sort(lows.begin(), lows.end());
  std::sort(highs.begin(), highs.end());
  const double a = lows[lows.size() / 2];
  const double b = highs[(highs.size() - 1) / 2];
  // Single points have no length of their own, so the middle half of them stands for it; a poor one is of interest.
  const std::size_t last = lows.size() - 1;
  const double length = std::max(std::abs(b - a), lows[last * 3 / 4] - lows[last / 4]);
  const double size = std::max(std::abs(a), std::abs(b));
  const double fence = lines ? std::max(3.0 * length, 3e-3 * size) : std::max(50.0 * length, size);
  const auto in_fence = [&](double value) {
    return value >= std::min(a, b) - fence && value <= std::max(a, b) + fence;
  };
  Extent common;
  for (const ChartSeries& one : series) {
    for (std::size_t i = 0; i < one.y.size(); ++i) {
      if (is_drawn(scales, one.x[i], one.y[i]) && in_fence(one.y[i])) {
        common.low = std::min(common.low, one.y[i]);
        common.high = std::max(common.high, one.y[i]);
      }
    }
  }
  return common;
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
  const Extent common = common_extent(series, scales);
  scales.y.low = common.low;
  scales.y.high = common.high;
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
    constexpr double kLetter = 6.5;
    const std::size_t stride = options.x_names.size() / 10 + 1;
    const double room = (kRight - kLeft) * static_cast<double>(stride) / static_cast<double>(options.x_names.size());
    const auto letters = static_cast<std::size_t>(std::max(6.0, room / kLetter - 4));
    for (std::size_t i = 0; i < options.x_names.size(); i += stride) {
      tick(static_cast<double>(i), one_line(options.x_names[i], letters));
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

bool is_outside(const Scale& scale, double value) {
  return value < scale.low || value > scale.high;
}

/// A path through places in pixels, of which only what lies between top and bottom is drawn.
class ClippedPath {
 public:
  void lift() { has_last_ = false; }

  void to(double x, double y) {
    if (has_last_) {
      draw(x, y);
    } else if (y >= kTop && y <= kBottom) {
      move(x, y);
    }
    last_x_ = x;
    last_y_ = y;
    has_last_ = true;
  }

  /// Empty if nothing lies inside. A path of one place has no length; round caps make it a dot.
  std::string text() const { return path_ + (places_ == 1 ? "h0" : ""); }

 private:
  void move(double x, double y) {
    path_ += str("M", pixel(x), " ", pixel(y));
    pen_x_ = x;
    pen_y_ = y;
    ++places_;
  }

  void draw(double x, double y) {
    const double rise = y - last_y_;
    const double at_top = rise == 0.0 ? 0.0 : (kTop - last_y_) / rise;
    const double at_bottom = rise == 0.0 ? 1.0 : (kBottom - last_y_) / rise;
    const double enter = std::max(0.0, std::min(at_top, at_bottom));
    const double leave = std::min(1.0, std::max(at_top, at_bottom));
    if (enter >= leave || (rise == 0.0 && (y < kTop || y > kBottom))) {
      return;
    }
    const auto x_at = [&](double share) { return last_x_ + share * (x - last_x_); };
    const auto y_at = [&](double share) { return last_y_ + share * rise; };
    if (places_ == 0 || pen_x_ != x_at(enter) || pen_y_ != y_at(enter)) {
      move(x_at(enter), y_at(enter));
    }
    pen_x_ = leave == 1.0 ? x : x_at(leave);
    pen_y_ = leave == 1.0 ? y : y_at(leave);
    path_ += str("L", pixel(pen_x_), " ", pixel(pen_y_));
    ++places_;
  }

  std::string path_;
  std::size_t places_ = 0;
  bool has_last_ = false;
  double last_x_ = 0.0;
  double last_y_ = 0.0;
  double pen_x_ = 0.0;
  double pen_y_ = 0.0;
};

std::string line_of(const ChartSeries& series, const Scales& scales) {
  ClippedPath path;
  const double reach = 1e3 * (scales.y.high - scales.y.low);  // farther out, a line is as good as vertical
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (is_drawn(scales, series.x[i], series.y[i])) {
      const double y = std::clamp(series.y[i], scales.y.low - reach, scales.y.high + reach);
      path.to(scales.x.at(series.x[i]), scales.y.at(y));
    } else {
      path.lift();
    }
  }
  if (path.text().empty()) {
    return "";
  }
  const std::string hint = series.hints.empty() ? "" : str("<title>", html_escape(series.hints.front()), "</title>");
  return str(opening(series), "<path class=\"line\" d=\"", path.text(), "\">", hint, "</path></g>\n");
}

std::string points_of(const ChartSeries& series, const Scales& scales) {
  std::string out;
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (is_drawn(scales, series.x[i], series.y[i])) {
      const std::string hint = i < series.hints.size() ? str("<title>", html_escape(series.hints[i]), "</title>") : "";
      const double y = std::clamp(series.y[i], scales.y.low, scales.y.high);
      out +=
          str("<circle", is_outside(scales.y, series.y[i]) ? " class=\"off\"" : "", " cx=\"",
              pixel(scales.x.at(series.x[i])), "\" cy=\"", pixel(scales.y.at(y)), "\" r=\"4.5\">", hint, "</circle>");
    }
  }
  return out.empty() ? out : str(opening(series), out, "</g>\n");
}

/// "outside of the plot: t00004 (up to 1.5e+12), t00007 (down to -3e+08)"; empty if nothing is.
std::string outside_text(const std::vector<ChartSeries>& series, const Scales& scales) {
  constexpr std::size_t kMostNames = 6;
  std::vector<std::string> names;
  std::size_t count = 0;
  for (const ChartSeries& one : series) {
    double farthest = scales.y.low;
    for (std::size_t i = 0; i < one.y.size(); ++i) {
      const auto distance = [&](double y) { return std::max(y - scales.y.high, scales.y.low - y); };
      if (is_drawn(scales, one.x[i], one.y[i]) && distance(one.y[i]) > std::max(0.0, distance(farthest))) {
        farthest = one.y[i];
      }
    }
    if (is_outside(scales.y, farthest)) {
      ++count;
      if (names.size() < kMostNames) {
        names.push_back(str(one.name.empty() ? "a series" : one.name,
                            farthest > scales.y.high ? " (up to " : " (down to ", number_text(farthest, 3), ")"));
      }
    }
  }
  return count == 0 ? ""
                    : str("outside of the plot: ", join(names, ", "),
                          count > names.size() ? str(" and ", count - names.size(), " more") : std::string());
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
  out += str("<svg class=\"still\" viewBox=\"0 0 ", pixel(kWidth), " ", pixel(kHeight), "\" role=\"img\" aria-label=\"",
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
  const std::string outside = outside_text(series, scales);
  out += "</svg>\n";
  return out + (outside.empty() ? "" : str("<p class=\"off\">", html_escape(outside), "</p>\n")) + "</figure>\n";
}

}  // namespace regatta
