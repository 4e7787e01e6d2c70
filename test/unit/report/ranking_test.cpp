// Statistics, ranking, history and labels.
#include <cmath>

#include "regatta/sweep/definition.hpp"
#include "support/catch.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

/// One trial a value, `replicates` to a point.
Report report_of(const std::vector<double>& values, int replicates, bool maximise) {
  Report report;
  report.metric = "dice";
  report.maximise = maximise;
  report.sweeps.resize(1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ReportTrial trial;
    trial.number = static_cast<std::int64_t>(i);
    trial.point = trial.number / replicates;
    trial.status = "ok";
    trial.objective = values[i];
    report.trials.push_back(trial);
  }
  rank(report);
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

TEST_CASE("a summary has the mean, the sample deviation and the number of finite values") {
  const Summary summary = summarise({1.0, 2.0, std::nan(""), 3.0, HUGE_VAL});
  CHECK(summary.mean == 2.0);
  CHECK(summary.std == 1.0);
  CHECK(summary.n == 3);
  CHECK_FALSE(summarise({5.0}).std);
  CHECK_FALSE(summarise({}).mean);
}

TEST_CASE("points are ranked by direction, ties by number") {
  CHECK(order_of(report_of({0.1, 0.3, 0.2, 0.3}, 1, true)) == std::vector<std::int64_t>{1, 3, 2, 0});
  CHECK(order_of(report_of({0.1, 0.3, 0.2, 0.1}, 1, false)) == std::vector<std::int64_t>{0, 3, 2, 1});
}

TEST_CASE("replicates are ranked by their mean, and the best of them gives the weights") {
  const Report report = report_of({0.1, 0.9, 0.6, 0.7, std::nan(""), std::nan("")}, 2, true);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0, 2});
  CHECK(report.ranking[0].objective.mean == Approx(0.65));
  CHECK(report.ranking[0].rank == 1);
  CHECK(report.ranking[2].rank == 0);
  CHECK(report.winner() == 3);
  CHECK_FALSE(report.ranking[2].best_trial);
}

TEST_CASE("folds of one setting are ranked by their mean, and the fold is no column of the leaderboard") {
  Report report = report_of({0.1, 0.9, 0.6, 0.7}, 1, true);
  report.axes = {{kFoldAxis, "fold", false}, {"/optim/lr", "lr", false}};
  for (std::size_t i = 0; i < 4; ++i) {  // lr is the slower axis
    report.trials[i].axes = {{kFoldAxis, Json(i % 2)}, {"/optim/lr", Json(i < 2 ? 0.1 : 0.01)}};
  }
  join_folds(report);
  rank(report);
  CHECK(report.notes.empty());
  CHECK(order_of(report) == std::vector<std::int64_t>{2, 0});
  CHECK(report.ranking[0].objective.mean == Approx(0.65));
  CHECK(report.ranking[0].objective.n == 2);
  CHECK(report.winner() == 3);
  CHECK(leaderboard_text(report).find("fold") == std::string::npos);
  CHECK(leaderboard_text(report).find("2 of 2 ok") != std::string::npos);
  CHECK(to_json(report)["ranking"][0]["axes"] == Json({{"/optim/lr", 0.01}}));
  CHECK(leaderboard_csv(report).find("fold") != std::string::npos);
  report.trials[0].objective.reset();
  join_folds(report);
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("not all settings have been scored on the same folds") == 0);
}

TEST_CASE("history follows the order in which trials ended") {
  Report report = report_of({0.1, 0.3, 0.2}, 1, true);
  for (std::size_t i = 0; i < 3; ++i) {
    report.trials[i].result = TrialResult{};
    report.trials[i].result->provenance.finished_utc = str("2026-11-24T03:00:0", i == 0 ? 5 : i, "Z");
  }
  rank(report);
  REQUIRE(report.history.size() == 3);
  CHECK(report.history[0].trial == 1);
  CHECK(report.history[1].best == 0.3);
  CHECK(report.history[2].trial == 0);
}

TEST_CASE("no trial, no winner") {
  const Report report = report_of({}, 1, true);
  CHECK_FALSE(report.winner());
  CHECK(report_html(report).find("no trial has finished yet") != std::string::npos);
}

TEST_CASE("axis labels are short but unique") {
  std::vector<ReportAxis> axes = {
      {"/losses/grad/weight", "", false}, {"/model/lr", "", false}, {"/optim/lr", "", false}};
  label_axes(axes);
  CHECK(axes[0].label == "grad/weight");
  CHECK(axes[1].label == "/model/lr");
  CHECK(axes[2].label == "/optim/lr");
}

}  // namespace regatta::test
