// Ranking by several objectives, and points that break a constraint.
#include <cmath>

#include "support/catch.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

struct Values {
  double dice;
  double folding;
};

/// One trial a point.
Report report_of(const std::vector<Values>& values) {
  Report report;
  report.metric = "dice";
  report.sweeps.resize(1);
  report.sweeps[0].name = "brains";
  for (std::size_t i = 0; i < values.size(); ++i) {
    ReportTrial trial;
    trial.number = static_cast<std::int64_t>(i);
    trial.point = trial.number;
    trial.status = "ok";
    trial.objective = values[i].dice;
    trial.result = TrialResult{};
    trial.result->best_step = 10;
    trial.result->best = {{"dice", values[i].dice}, {"folding", values[i].folding}};
    trial.result->provenance.finished_utc = str("2026-11-24T03:00:0", i, "Z");
    report.trials.push_back(trial);
  }
  return report;
}

std::vector<std::int64_t> order_of(const Report& report) {
  std::vector<std::int64_t> points;
  for (const ReportPoint& point : report.ranking) {
    points.push_back(point.point);
  }
  return points;
}

}  // namespace

TEST_CASE("several objectives rank by front, then by what a point adds to the hypervolume") {
  Report report = report_of({{0.70, 1.0}, {0.60, 0.2}, {0.65, 0.4}, {0.60, 0.9}, {0.20, 3.0}});
  report.objectives = {{"dice", "maximise", 0.3}, {"folding", "minimise", 2.0}};
  rank(report);
  // Alone: point 0 adds 0.05 x 1, point 1 0.30 x 0.2, point 2 0.05 x 0.6; 3 is dominated, 4 by all.
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0, 2, 3, 4});
  CHECK(report.ranking[0].front == 1);
  CHECK(report.ranking[0].hypervolume == Approx(0.06));
  CHECK(report.ranking[1].hypervolume == Approx(0.05));
  CHECK(report.ranking[2].hypervolume == Approx(0.03));
  CHECK(report.ranking[3].front == 2);
  CHECK(report.ranking[4].front == 3);
  CHECK(report.hypervolume == Approx(0.30 * 1.8 + 0.05 * 1.6 + 0.05 * 1.0));
  CHECK(report.winner() == 1);
  const Json json = to_json(report);
  CHECK(json["objectives"][1] == Json({{"metric", "folding"}, {"direction", "minimise"}, {"reference", 2.0}}));
  CHECK(json["pareto"]["hypervolume"] == report.hypervolume);
  CHECK(json["ranking"][0]["front"] == 1);
  CHECK_THAT(leaderboard_text(report), Catch::Contains("front") && Catch::Contains("hypervolume"));
}

TEST_CASE("a point without a finite value of every objective stands behind the fronts") {
  Report report = report_of({{0.70, std::nan("")}, {0.60, 0.2}});
  report.objectives = {{"dice", "maximise", 0.3}, {"folding", "minimise", 2.0}};
  rank(report);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0});
  CHECK(report.ranking[1].front == 0);
  CHECK(report.ranking[1].rank == 2);
}

TEST_CASE("one objective has neither fronts nor a hypervolume") {
  Report report = report_of({{0.70, 1.0}, {0.60, 0.2}});
  rank(report);
  CHECK(report.ranking[0].front == 0);
  CHECK_FALSE(report.hypervolume);
  const Json json = to_json(report);
  REQUIRE(json["objectives"].size() == 1);
  CHECK(json["objectives"][0] == Json({{"metric", "dice"}, {"direction", "maximise"}, {"reference", nullptr}}));
  CHECK(json["pareto"].is_null());
  CHECK(leaderboard_text(report).find("front") == std::string::npos);
}

TEST_CASE("points that break a constraint rank below all others, the least broken first") {
  Report report = report_of({{0.70, 1.0}, {0.60, 0.2}, {0.50, 0.4}, {0.80, 3.0}, {0.75, std::nan("")}});
  report.constraints = {{"folding", 0.5, std::nullopt}};
  rank(report);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 2, 0, 3, 4});
  CHECK(report.winner() == 1);
  CHECK(report.ranking[2].violation == 0.5);
  REQUIRE(report.ranking[2].violations.size() == 1);
  CHECK(report.ranking[2].violations[0].value == 1.0);
  CHECK(report.history.back().best == 0.60);  // nothing that breaks a limit stands first
  CHECK_THAT(leaderboard_text(report),
             Catch::Contains("violates folding <= 0.5: 1.000") && Catch::Contains("violates folding <= 0.5: no value"));
  const Json json = to_json(report);
  CHECK(json["constraints"][0] == Json({{"metric", "folding"}, {"at_most", 0.5}, {"at_least", nullptr}}));
  CHECK(json["ranking"][0]["status"] == "ok");
  CHECK(json["ranking"][2]["status"] == "violates");
  CHECK(json["ranking"][2]["violations"][0]["value"] == 1.0);
  CHECK_THAT(leaderboard_csv(report), Catch::Contains("point_status") && Catch::Contains(",violates,"));
}

TEST_CASE("of several objectives, what breaks a constraint is on no front") {
  Report report = report_of({{0.70, 1.0}, {0.60, 0.2}});
  report.objectives = {{"dice", "maximise", 0.3}, {"folding", "minimise", 2.0}};
  report.constraints = {{"folding", 0.5, std::nullopt}};
  rank(report);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0});
  CHECK(report.ranking[0].front == 1);
  CHECK(report.ranking[1].front == 0);
  CHECK(report.hypervolume == Approx(0.3 * 1.8));
}

TEST_CASE("where every point breaks a constraint there is no winner, and the reason is said") {
  Report report = report_of({{0.70, 1.0}, {0.60, 0.7}});
  report.constraints = {{"folding", 0.5, std::nullopt}};
  rank(report);
  CHECK_FALSE(report.winner());
  CHECK(to_json(report)["winner"].is_null());
  CHECK_THAT(report_html(report), Catch::Contains("every point breaks a constraint (folding &lt;= 0.5)"));
}

}  // namespace regatta::test
