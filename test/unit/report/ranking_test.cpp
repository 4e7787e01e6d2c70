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

std::vector<int> ranks_of(const Report& report) {
  std::vector<int> ranks;
  for (const ReportPoint& point : report.ranking) {
    ranks.push_back(point.rank);
  }
  return ranks;
}

/// A result whose best checkpoint has this value of "hd95".
TrialResult result_with(double hd95) {
  TrialResult result;
  result.best = {{"hd95", hd95}};
  return result;
}

}  // namespace

TEST_CASE("a summary has the mean, the sample deviation and the number of finite values") {
  const Summary summary = summarise({1.0, 2.0, std::nan(""), 3.0, HUGE_VAL});
  CHECK(summary.mean == 2.0);
  CHECK(summary.std == 1.0);
  CHECK(summary.n == 3);
  CHECK(summary.of == 5);
  CHECK_FALSE(summary.complete());
  CHECK_FALSE(summarise({5.0}).std);
  CHECK_FALSE(summarise({}).mean);
}

TEST_CASE("points are ranked by direction, equal ones share a rank and stand by number") {
  const Report report = report_of({0.1, 0.3, 0.2, 0.3}, 1, true);
  CHECK(ranks_of(report) == std::vector<int>{1, 1, 3, 4});
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
  CHECK(leaderboard_text(report).find("2 of 2 scored") != std::string::npos);
  CHECK(to_json(report)["ranking"][0]["axes"] == Json({{"/optim/lr", 0.01}}));
  CHECK(leaderboard_csv(report).find("fold") != std::string::npos);
  report.trials[0].objective.reset();
  join_folds(report);
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].find("not all settings have been scored on the same folds") == 0);
}

TEST_CASE("a replicate with an infinite value puts its point behind all that are complete") {
  const Report report = report_of({HUGE_VAL, 17.0, HUGE_VAL, 18.0, 19.0, 20.0}, 3, false);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0});
  CHECK(ranks_of(report) == std::vector<int>{1, 2});
  CHECK(report.ranking[1].objective.mean == 17.0);
  CHECK(report.ranking[1].objective.n == 1);
  CHECK(report.ranking[1].objective.of == 3);
  CHECK(report.winner() == 3);
  CHECK_THAT(leaderboard_text(report), Catch::Contains("3 of 3 scored") && Catch::Contains("17.00 (1 of 3)") &&
                                           Catch::Contains("1 of 3 scored, 2 infinite"));
  CHECK(to_json(report)["ranking"][1]["objective"]["of"] == 3);
}

TEST_CASE("diverged, failed and nameless replicates and folds count as the worst, those under way not yet") {
  Report report = report_of({0.9, 0.0, 0.5, 0.6, 0.8, 0.0}, 2, true);
  report.trials[1].objective.reset();
  report.trials[1].status = GENERATE("diverged", "infeasible", "failed", "quarantined", "ok");
  report.trials[5].objective.reset();
  report.trials[5].status = "running";
  rank(report);
  CHECK(order_of(report) == std::vector<std::int64_t>{2, 1, 0});
  CHECK(report.ranking[2].objective.of == 2);
  CHECK(report.ranking[0].objective.of == 1);
  CHECK_THAT(leaderboard_text(report),
             Catch::Contains("1 of 2 scored, 1 running") &&
                 Catch::Contains("1 of 2 scored, 1 " +
                                 (report.trials[1].status == "ok" ? "not a number" : report.trials[1].status)));
}

TEST_CASE("of points that all lack a value the one with the larger share stands first") {
  const Report report = report_of({0.9, std::nan(""), std::nan(""), 0.2, 0.3, std::nan("")}, 3, true);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0});
}

TEST_CASE("a column beside the objective says how many of its values are finite") {
  Report report = report_of({0.7, 0.71, 0.72}, 3, true);
  report.trials[0].result = result_with(HUGE_VAL);
  report.trials[1].result = result_with(17.0);
  report.trials[2].result = result_with(19.0);
  rank(report);
  CHECK(report.ranking[0].best.at("hd95").of == 3);
  CHECK_THAT(leaderboard_text(report), Catch::Contains("hd95 (voxels)") && Catch::Contains("18.00 (2 of 3)"));
  CHECK_THAT(report_html(report), Catch::Contains("18.00 (2 of 3)"));
  report.trials[2].result.reset();  // diverged
  report.trials[2].objective.reset();
  report.trials[2].status = "diverged";
  rank(report);
  CHECK_THAT(leaderboard_text(report), Catch::Contains("17.00 (1 of 3)"));
}

TEST_CASE("a single trial shows the value that is not finite") {
  Report report = report_of({HUGE_VAL}, 1, false);
  report.trials[0].result = TrialResult{};
  report.trials[0].result->best = {{"dice", HUGE_VAL}};
  rank(report);
  CHECK(ranks_of(report) == std::vector<int>{0});
  CHECK_THAT(leaderboard_text(report), Catch::Contains(" inf "));
}

namespace {

/// Trials that were best before the first step, but for one that gained `gain`.
Report untrained_report(double gain) {
  Report report = report_of({0.37, 0.37 + gain, 0.37, 0.37}, 1, true);
  for (ReportTrial& trial : report.trials) {
    trial.result = TrialResult{};
    trial.result->initial = {{"dice", 0.37}};
    trial.result->best = {{"dice", *trial.objective}};
    trial.result->best_step = *trial.objective > 0.37 ? 40 : 0;
  }
  rank(report);
  return report;
}

}  // namespace

TEST_CASE("where no trial beats the start there is no winner, and all share the first rank") {
  const Report report = untrained_report(0.0);
  CHECK_FALSE(report.winner());
  CHECK(report.totals.ranked == 4);
  CHECK(report.totals.improved == 0);
  CHECK(ranks_of(report) == std::vector<int>{1, 1, 1, 1});
  CHECK(to_json(report)["winner"].is_null());
  CHECK_THAT(report_html(report), Catch::Contains("no trial beats the start") && Catch::Contains("(0.3700)"));
  const Report better = untrained_report(0.01);
  CHECK(better.winner() == 1);
  CHECK(better.totals.improved == 1);
  CHECK(ranks_of(better) == std::vector<int>{1, 2, 2, 2});
  CHECK(better.totals.gain == Approx(0.01));
}

TEST_CASE("a start that was not measured is beaten by any later checkpoint") {
  Report report = untrained_report(0.01);
  for (ReportTrial& trial : report.trials) {
    trial.result->initial.clear();
  }
  rank(report);
  CHECK(report.totals.improved == 1);
  CHECK_FALSE(report.totals.gain);
}

TEST_CASE("with replicates every place shows the mean of the best point, or names the trial whose value it shows") {
  Report report = report_of({0.40, 0.46, 0.42, 0.45}, 2, true);  // the best single trial is of the worse point
  for (std::size_t i = 0; i < 4; ++i) {
    report.trials[i].result = TrialResult{};
    report.trials[i].result->initial = {{"dice", 0.37}};
    report.trials[i].result->best = {{"dice", *report.trials[i].objective}};
    report.trials[i].weights = "best.safetensors";
    report.trials[i].result->provenance.finished_utc = str("2026-11-24T03:00:0", i, "Z");
  }
  rank(report);
  CHECK(order_of(report) == std::vector<std::int64_t>{1, 0});
  CHECK(report.winner() == 3);
  CHECK(report.totals.gain == Approx(0.065));
  CHECK(report.history.back().best == Approx(0.435));
  CHECK(report.history[1].best == Approx(0.43));  // of the first point, while it stood first
  CHECK_THAT(report_html(report), Catch::Contains("<b>0.4350</b><span>best dice, mean of 2 trials</span>") &&
                                      Catch::Contains("<b>0.4500</b><span>its best trial, t00003</span>") &&
                                      Catch::Contains("from 0.3700 before training, means") &&
                                      Catch::Contains("those of the best trial of the best point, t00003"));
  CHECK_THAT(leaderboard_text(report),
             Catch::Contains("t00002, t00003") && Catch::Contains("0.4350") && Catch::Contains("its dice"));
  const Json json = to_json(report);
  CHECK(json["winner"]["objective"] == 0.45);
  CHECK(json["winner"]["point"]["mean"].get<double>() == Approx(0.435));
  CHECK_THAT(leaderboard_csv(report),
             Catch::Contains("dice,point_mean,point_std,point_n") && Catch::Contains("0.45,0.435,"));
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
      {"/losses/grad/weight", "", false}, {"/model/lr", "", false}, {"/optim/lr", "", false}, {"/model", "", false}};
  label_axes(axes);
  CHECK(axes[0].label == "grad/weight");
  CHECK(axes[1].label == "/model/lr");
  CHECK(axes[2].label == "/optim/lr");
  CHECK(axes[3].label == "model");
}

}  // namespace regatta::test
