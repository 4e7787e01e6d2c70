// PED-ANOVA. That the numbers are Optuna's is checked in test/interop/check_export.py and below, with values that
// Optuna 5.0.0's PedAnovaImportanceEvaluator gave.
#include "regatta/report/importance.hpp"

#include <cmath>

#include "regatta/base/random.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// 60 points over a linear, a logarithmic, a whole-numbered and a listed axis; the second decides, the fourth a little.
std::vector<ImportancePoint> sample_points() {
  std::vector<ImportancePoint> points;
  for (int i = 0; i < 60; ++i) {
    const double linear = (i * 37 % 60) / 59.0;
    const double log = 1e-4 * std::pow(100.0, (i * 23 % 60) / 59.0);
    const double whole = 1 + i * 7 % 9;
    const double choice = i % 3;
    points.push_back({std::pow(std::log10(log) + 3.0, 2) + 0.1 * choice + 0.001 * whole, {linear, log, whole, choice}});
  }
  return points;
}

const std::vector<ImportanceAxis> kAxes = {{true, 0.0, 1.0, false, false, 0},
                                           {true, 1e-4, 1e-2, true, false, 0},
                                           {true, 1.0, 9.0, false, true, 0},
                                           {false, 0.0, 1.0, false, false, 3}};

}  // namespace

TEST_CASE("importances of mixed axes are Optuna's") {
  const std::vector<double> importance = ped_anova(kAxes, sample_points());
  REQUIRE(importance.size() == 4);
  CHECK(importance[0] == Approx(0.010841755325914493).epsilon(1e-9));
  CHECK(importance[1] == Approx(0.01029057620260772).epsilon(1e-9));
  CHECK(importance[2] == Approx(0.0016412181345920938).epsilon(1e-9));
  CHECK(importance[3] == Approx(0.002351020408156211).epsilon(1e-9));
}

TEST_CASE("an axis that some points lack is weighed by those that have it, as Optuna does") {
  std::vector<ImportancePoint> points = sample_points();
  for (std::size_t i = 0; i < points.size(); i += 4) {
    points[i].values[0].reset();
  }
  CHECK(ped_anova(kAxes, points)[0] == Approx(0.006552996016364537).epsilon(1e-9));
}

TEST_CASE("an axis of one value and a report of one point tell nothing") {
  std::vector<ImportancePoint> points = sample_points();
  std::vector<ImportanceAxis> axes = kAxes;
  axes[3].choices = 1;
  for (ImportancePoint& point : points) {
    point.values[3] = 0.0;
  }
  CHECK(ped_anova(axes, points)[3] == 0.0);
  points.resize(1);
  CHECK(ped_anova(axes, points) == std::vector<double>(4, 0.0));
}

TEST_CASE("a report's importances sum to 1, and few points give a warning") {
  Report report;
  report.metric = "dice";
  report.sweeps.resize(1);
  report.sweeps[0].job = {{"axes", {{"/optim/lr", {{"log", {1e-4, 1e-2}}}}, {"/train/batch", {{"list", {1, 2}}}}}}};
  report.axes = {{"/optim/lr", "lr", true}, {"/train/batch", "batch", false}};
  for (int i = 0; i < 60; ++i) {
    ReportTrial trial;
    trial.number = trial.point = i;
    trial.status = "ok";
    const double lr = 1e-4 * std::pow(100.0, (i * 23 % 60) / 59.0);
    trial.axes = {{"/optim/lr", lr}, {"/train/batch", 1 + i % 2}};
    trial.objective = -std::pow(std::log10(lr) + 3.0, 2);
    report.trials.push_back(trial);
  }
  rank(report);
  add_importance(report);
  REQUIRE(report.importance.axes.size() == 2);
  CHECK(report.importance.axes[0].pointer == "/optim/lr");
  CHECK(report.importance.axes[0].importance + report.importance.axes[1].importance == Approx(1.0));
  CHECK(report.importance.best == 6);
  CHECK(report.importance.warning.empty());
  CHECK_THAT(importance_text(report), Catch::Contains("what the best 6 of 60 points have in common") &&
                                          Catch::Contains("lr") && Catch::Contains("batch"));
  CHECK(to_json(report)["importance"]["axes"][0]["pointer"] == "/optim/lr");
  report.trials.resize(12);
  rank(report);
  add_importance(report);
  CHECK_THAT(report.importance.warning, Catch::Contains("only 2 points are among the best of 12"));
  report.trials.resize(1);
  rank(report);
  add_importance(report);
  CHECK(report.importance.axes.empty());
  CHECK(importance_text(report).empty());
}

}  // namespace regatta::test
