// Intervals, comparisons with the first, and the tables behind the rows.
#include "report/point_statistics.hpp"

#include <cmath>

#include "support/catch.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

constexpr int kPairs = 12;

/// Made-up noise of a pair and a trial.
double noise(int pair, std::int64_t trial) {
  return 0.004 * std::sin(static_cast<double>(pair) * 2.3 + static_cast<double>(trial) * 1.1);
}

/// Trials with a Dice for each of 12 pairs and labels 1 and 2; `levels` of points, two seeds each. Pair 0 is the
/// hardest.
Report report_with_pairs(const std::vector<double>& levels) {
  Report report;
  report.metric = "dice";
  report.sweeps.resize(1);
  report.sweeps[0].name = "brains";
  report.axes = {{"/optim/lr", "lr", false}};
  for (std::size_t i = 0; i < 2 * levels.size(); ++i) {
    ReportTrial trial;
    trial.number = static_cast<std::int64_t>(i);
    trial.point = trial.number / 2;
    trial.replicate = static_cast<int>(i % 2);
    trial.status = "ok";
    trial.axes = {{"/optim/lr", 0.001 * static_cast<double>(1 + trial.point)}};
    TrialResult result;
    double sum = 0.0;
    for (int pair = 0; pair < kPairs; ++pair) {
      const double dice = levels[i / 2] + 0.02 * pair + noise(pair, trial.number);
      const std::string fixed = str("s", 10 + pair);
      trial.pairs.push_back({"atlas", fixed, {{"dice", dice}, {"dice/1", dice - 0.1}, {"dice/2", dice + 0.1}}});
      const double before = 0.2 + 0.02 * pair;
      trial.initial_pairs.push_back(
          {"atlas", fixed, {{"dice", before}, {"dice/1", before - 0.1}, {"dice/2", before + 0.1}}});
      sum += dice;
    }
    trial.objective = sum / kPairs;
    result.best = {{"dice", *trial.objective}, {"dice/1", *trial.objective - 0.1}, {"dice/2", *trial.objective + 0.1}};
    result.initial = {{"dice", 0.31}, {"dice/1", 0.21}, {"dice/2", 0.41}};
    trial.result = result;
    report.trials.push_back(trial);
  }
  rank(report);
  add_point_statistics(report);
  return report;
}

}  // namespace

TEST_CASE("a point that is worse on every pair differs from the first, one that is as good is tied") {
  const Report report = report_with_pairs({0.40, 0.4003, 0.36});
  REQUIRE(report.ranking.size() == 3);
  CHECK_FALSE(report.ranking[0].against_first);
  const auto& close = report.ranking[1].against_first;
  const auto& far = report.ranking[2].against_first;
  REQUIRE((close && far));
  CHECK(close->tied);
  CHECK_FALSE(far->tied);
  CHECK(far->p == Approx(std::ldexp(1.0, -11)));
  CHECK(far->p_holm == Approx(2.0 * std::ldexp(1.0, -11)));
  CHECK(far->pairs == kPairs);
  CHECK(far->difference == Approx(*report.ranking[2].objective.mean - *report.ranking[0].objective.mean));
  CHECK(report.statistics.comparisons == 2);
  CHECK(report.statistics.least_p == far->p);
  CHECK(report.notes.empty());
  CHECK_THAT(leaderboard_text(report), Catch::Contains("against first") && Catch::Contains("tied (p ") &&
                                           Catch::Contains("p 0.00098") &&
                                           Catch::Contains("bootstrap over 12 validation pairs"));
}

TEST_CASE("an interval holds the mean of the pairs, and stands in the JSON and the CSV") {
  const Report report = report_with_pairs({0.40, 0.36});
  const ReportPoint& point = report.ranking[0];
  REQUIRE(point.interval);
  CHECK(point.interval->pairs == kPairs);
  CHECK(point.interval->low < *point.objective.mean);
  CHECK(point.interval->high > *point.objective.mean);
  const Json json = to_json(report);
  CHECK(json["ranking"][0]["interval"]["low"] == point.interval->low);
  CHECK(json["ranking"][0]["against_first"].is_null());
  CHECK(json["ranking"][1]["against_first"]["tied"] == false);
  CHECK(json["statistics"]["resamples"] == 10000);
  CHECK_THAT(leaderboard_csv(report),
             Catch::Contains("point_n,point_low,point_high,point_p,point_tied") && Catch::Contains(",false,"));
}

TEST_CASE("with few pairs all points are tied with the first, and a note says why") {
  Report report = report_with_pairs({0.40, 0.36, 0.30});
  for (ReportTrial& trial : report.trials) {
    trial.pairs.resize(4);
  }
  report.notes.clear();
  add_point_statistics(report);
  CHECK(report.ranking[2].against_first->tied);
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes[0],
             Catch::Contains("4 validation pairs cannot separate 3 points") && Catch::Contains("0.1250 x 2"));
}

TEST_CASE("points without pair values have neither interval nor comparison") {
  Report report = report_with_pairs({0.40, 0.36});
  for (ReportTrial& trial : report.trials) {
    trial.pairs.clear();
  }
  for (ReportPoint& point : report.ranking) {
    point = ReportPoint{};
  }
  rank(report);
  add_point_statistics(report);
  CHECK_FALSE(report.ranking[0].interval);
  CHECK_FALSE(report.ranking[1].against_first);
  CHECK(leaderboard_text(report).find("against first") == std::string::npos);
  CHECK(to_json(report)["ranking"][0]["interval"].is_null());
}

TEST_CASE("the hardest 30 % are the items that were worst before training, for all points alike") {
  const Report report = report_with_pairs({0.40, 0.36});
  const HardestMean& hardest = report.ranking[0].hardest30.at("dice");
  CHECK(hardest.items == 8);  // 30 % of 24: label 1 of the pairs 0 to 7
  double sum = 0.0;
  for (int pair = 0; pair < 8; ++pair) {
    sum += 0.40 - 0.1 + 0.02 * pair + 0.5 * (noise(pair, 0) + noise(pair, 1));
  }
  CHECK(hardest.mean == Approx(sum / 8));
  CHECK(report.difficulty.size() == kPairs);
  CHECK(report.trials[0].initial_pairs.empty());
  CHECK(hardest_items(report, "dice").contains("atlas\ts10/1"));
}

TEST_CASE("tables behind the rows have a line for each label, pair and metric of a point") {
  const Report report = report_with_pairs({0.40, 0.36});
  const std::string labels = labels_csv(report);
  CHECK_THAT(labels, Catch::StartsWith("rank,sweep,point,/optim/lr,metric,label,mean,std,n,initial\n") &&
                         Catch::Contains("1,brains,0,0.001,dice,1,") && Catch::Contains("2,brains,1,0.002,dice,2,"));
  CHECK(std::count(labels.begin(), labels.end(), '\n') == 5);
  const std::string pairs = pairs_csv(report);
  CHECK_THAT(pairs, Catch::StartsWith("rank,sweep,point,/optim/lr,moving,fixed,metric,mean,std,n,initial\n") &&
                        Catch::Contains("1,brains,0,0.001,atlas,s10,dice,") && Catch::Contains(",2,0.2\n"));
  CHECK(std::count(pairs.begin(), pairs.end(), '\n') == 1 + 2 * kPairs);
  CHECK_THAT(hardest_csv(report), Catch::StartsWith("rank,sweep,point,/optim/lr,metric,items,hardest30,all\n") &&
                                      Catch::Contains("1,brains,0,0.001,dice,8,"));
}

}  // namespace regatta::test
