// The range of a chart's y axis, and what lies outside of it.
#include "report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// exp(-x) from `start` down, and from step `spoilt` on 1e12.
ChartSeries loss_of(const std::string& name, double start, int spoilt = 1000) {
  ChartSeries series;
  series.name = name;
  series.key = name;
  for (int step = 0; step < 50; ++step) {
    series.x.push_back(step);
    series.y.push_back(step < spoilt ? start * std::exp(-0.1 * step) : 1e12);
  }
  return series;
}

/// Highest and lowest place of the line with this key: 12 is the top of the plot, 272 its bottom.
std::pair<double, double> places_of(const std::string& figure, const std::string& key) {
  const std::size_t group = figure.find("data-key=\"" + key + "\"");
  REQUIRE(group != std::string::npos);
  const std::size_t begin = figure.find(" d=\"", group) + 4;
  std::string path = figure.substr(begin, figure.find('"', begin) - begin);
  std::replace_if(
      path.begin(), path.end(), [](char c) { return c == 'M' || c == 'L'; }, ' ');
  std::istringstream in(path);
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  for (double x = 0, y = 0; in >> x >> y;) {
    low = std::min(low, y);
    high = std::max(high, y);
  }
  return {low, high};
}

std::string figure_of(const std::vector<ChartSeries>& series) {
  return chart_figure({"Training loss", "step", "loss", false, {}, true, {}}, series);
}

}  // namespace

TEST_CASE("one diverged training does not flatten the others, and is named") {
  const std::string figure = figure_of({loss_of("t00000", 1.0), loss_of("t00001", 0.8), loss_of("t00002", 0.9, 20)});
  const auto [top, bottom] = places_of(figure, "t00000");
  CHECK(bottom - top > 150.0);
  const auto [spoilt_top, spoilt_bottom] = places_of(figure, "t00002");
  CHECK(spoilt_top == Approx(12.0));  // up to the edge, not beyond
  CHECK(spoilt_bottom > 100.0);
  CHECK_THAT(figure, Catch::Contains("outside of the plot: t00002 (up to 1.00e+12)"));
}

TEST_CASE("trainings that diverged do not set the range even where they are the most") {
  std::vector<ChartSeries> series = {loss_of("t00000", 1.0)};
  for (const char* name : {"t00001", "t00002", "t00003"}) {
    series.push_back(loss_of(name, 0.9, 3));
    series.back().aside = true;
  }
  const std::string figure = figure_of(series);
  const auto [top, bottom] = places_of(figure, "t00000");
  CHECK(bottom - top > 150.0);
  series.erase(series.begin());
  CHECK(figure_of(series).find("<path class=\"line\"") != std::string::npos);
}

TEST_CASE("the first steps of a training may be far off") {
  ChartSeries series = loss_of("t00000", 1.0);
  series.y[0] = 1e6;
  const auto [top, bottom] = places_of(figure_of({series, loss_of("t00001", 1.0)}), "t00001");
  CHECK(bottom - top > 150.0);
}

TEST_CASE("ordinary curves are shown whole") {
  const std::string figure = figure_of({loss_of("t00000", 1.0), loss_of("t00001", 3.0), loss_of("t00002", 0.5)});
  CHECK(figure.find("outside of the plot") == std::string::npos);
  CHECK(places_of(figure, "t00001").first > 12.0);
}

TEST_CASE("a poor trial's point is shown, one that is out of all proportion lies at the edge") {
  const auto points_of = [](const std::vector<double>& values) {
    std::vector<ChartSeries> series;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ChartSeries one;
      one.line = false;
      one.name = "t" + std::to_string(i);
      one.x = {static_cast<double>(i)};
      one.y = {values[i]};
      series.push_back(one);
    }
    return chart_figure({"dice", "lr", "dice", false, {}, false, {}}, series);
  };
  CHECK(points_of({0.71, 0.711, 0.712, 0.40, 0.713, 0.714}).find("outside") == std::string::npos);
  CHECK_THAT(points_of({0.010, 0.012, 0.011, 3e9, 0.013}),
             Catch::Contains("outside of the plot: t3 (up to 3.00e+09)") && Catch::Contains("<circle class=\"off\""));
}

TEST_CASE("values of enormous size break nothing") {
  const std::string figure = figure_of({loss_of("t00000", 1.0), loss_of("t00001", 1e308), loss_of("t00002", -1e308)});
  CHECK(figure.find("nan") == std::string::npos);
  CHECK(figure.find("inf") == std::string::npos);
}

}  // namespace regatta::test
