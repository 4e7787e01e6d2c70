// Two reports side by side.
#include "regatta/report/compare.hpp"

#include "regatta/base/error.hpp"
#include "regatta/report/collect.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/report/sample_sweep.hpp"

namespace regatta::test {
namespace {

constexpr int kPairs = 9;

/// A report.json of points with these learning rates and levels of Dice, over 9 pairs.
Json document(const std::vector<std::pair<double, double>>& points, double noise) {
  Report report;
  report.metric = "dice";
  report.sweeps.resize(1);
  report.sweeps[0].name = "brains";
  report.axes = {{"/optim/lr", "lr", true}};
  for (std::size_t i = 0; i < points.size(); ++i) {
    ReportTrial trial;
    trial.number = trial.point = static_cast<std::int64_t>(i);
    trial.status = "ok";
    trial.axes = {{"/optim/lr", points[i].first}};
    for (int pair = 0; pair < kPairs; ++pair) {
      const double sign = pair % 2 == 0 ? 1.0 : -1.0;
      trial.pairs.push_back(
          {"atlas", str("s", pair), {{"dice", points[i].second + 0.01 * pair + noise * sign * (1 + pair)}}});
    }
    trial.objective = points[i].second + 0.04;
    trial.result = TrialResult{};
    trial.result->best = {{"dice", *trial.objective}};
    trial.result->best_step = 5;
    trial.result->provenance.data_fingerprint = "57a1c3e2b4d60f98";
    report.trials.push_back(trial);
  }
  rank(report);
  return to_json(report);
}

}  // namespace

TEST_CASE("settings that both reports have are tested pair by pair, their p corrected together") {
  const Json a = document({{0.001, 0.40}, {0.002, 0.45}, {0.004, 0.30}}, 0.0);
  const Json b = document({{0.001, 0.43}, {0.002, 0.45}, {0.008, 0.47}}, 0.0001);
  const ReportComparison comparison = compare_reports(a, b, "a.json", "b.json");
  CHECK(comparison.best.setting == "A: lr 0.002 / B: lr 0.008");
  CHECK(*comparison.best.difference == Approx(0.02).margin(0.001));
  CHECK(*comparison.best.p == Approx(1.0 / 256));
  REQUIRE(comparison.common.size() == 2);
  CHECK(comparison.common[0].setting == "lr 0.002");
  CHECK(*comparison.common[0].p_holm > 0.05);
  CHECK(comparison.common[1].setting == "lr 0.001");
  CHECK(*comparison.common[1].p_holm == Approx(2.0 / 256));
  CHECK(comparison.common[1].pairs == kPairs);
  CHECK(comparison.only_a == 1);
  CHECK(comparison.only_b == 1);
  CHECK(comparison.notes.empty());
  CHECK_THAT(comparison_text(comparison), Catch::Contains("best of each: A: lr 0.002 / B: lr 0.008") &&
                                              Catch::Contains("p 0.0078") && Catch::Contains("tied (p ") &&
                                              Catch::Contains("2 settings in both, 1 in A only, 1 in B only"));
  CHECK(to_json(comparison)["common"][1]["pairs"] == kPairs);
}

TEST_CASE("a report of schema 1 is compared as one of schema 2") {
  Json old = document({{0.001, 0.40}}, 0.0);
  for (const char* added : {"statistics", "difficulty", "objectives", "constraints", "pareto", "importance"}) {
    old.erase(added);
  }
  old["schema"] = 1;
  CHECK(compare_reports(old, document({{0.001, 0.43}}, 0.0), "a", "b").common.size() == 1);
}

TEST_CASE("reports that cannot be compared are refused by name") {
  const Json good = document({{0.001, 0.40}}, 0.0);
  Json other = good;
  other["objective"]["metric"] = "ncc";
  CHECK_THROWS_WITH(compare_reports(good, other, "a.json", "b.json"),
                    Catch::Contains("a.json: maximises dice, b.json: maximises ncc"));
  CHECK_THROWS_WITH(compare_reports(Json::object(), good, "a.json", "b.json"),
                    Catch::Contains("a.json: /schema: missing; not a report.json"));
  other = good;
  other["schema"] = kReportSchema + 1;
  CHECK_THROWS_AS(compare_reports(good, other, "a.json", "b.json"), DataError);
  other = good;
  other["ranking"] = 5;
  CHECK_THROWS_AS(compare_reports(good, other, "a.json", "b.json"), DataError);
  CHECK_THROWS_WITH(compare_reports(good, document({}, 0.0), "a.json", "b.json"),
                    Catch::Contains("b.json: no ranked point"));
}

TEST_CASE("different data and missing pairs are noted") {
  const Json a = document({{0.001, 0.40}}, 0.0);
  Json b = a;
  b["trials"][0]["provenance"]["data_fingerprint"] = "0000000000000000";
  b["trials"][0]["pairs"] = Json::array();
  const ReportComparison comparison = compare_reports(a, b, "a", "b");
  REQUIRE(comparison.notes.size() == 2);
  CHECK_THAT(comparison.notes[0], Catch::Contains("different data"));
  CHECK_THAT(comparison.notes[1], Catch::Contains("no validation pair is in both"));
  CHECK_FALSE(comparison.best.p);
}

}  // namespace regatta::test
