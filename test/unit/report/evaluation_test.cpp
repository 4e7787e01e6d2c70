// Evaluations as files, their summaries, and the ranking of methods.
#include "regatta/report/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Two cases with three labels each, of which label 3 is nowhere; better by `gain` than initially.
MethodEvaluation sample(const std::string& method, double gain) {
  MethodEvaluation out;
  out.method = method;
  out.metrics = {{"dice", Better::kHigher}, {"sdlogj", Better::kLower}};
  for (int c = 0; c < 2; ++c) {
    EvaluatedCase one;
    one.name = "c" + std::to_string(c);
    double sum = 0.0;
    for (int label = 1; label <= 2; ++label) {
      const double initial = 0.2 + 0.1 * label + 0.05 * c;
      one.initial["dice/" + std::to_string(label)] = initial;
      one.values["dice/" + std::to_string(label)] = initial + gain;
      sum += initial + gain;
    }
    one.initial["dice/3"] = kNaN;
    one.values["dice/3"] = kNaN;
    one.values["dice"] = sum / 2;
    one.values["sdlogj"] = 0.1 - 0.01 * gain + 0.001 * c;
    one.values["sdlogj/l2r"] = 0.05;
    out.cases.push_back(one);
  }
  return out;
}

/// Forty cases, so that differences are significant.
MethodEvaluation many(const std::string& method, double gain) {
  MethodEvaluation out = sample(method, gain);
  const std::vector<EvaluatedCase> two = out.cases;
  out.cases.clear();
  for (int i = 0; i < 20; ++i) {
    for (EvaluatedCase one : two) {
      one.name += "-" + std::to_string(i);
      for (auto& [name, value] : one.values) {
        value += 1e-4 * i;
      }
      out.cases.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace

TEST_CASE("an evaluation's tables have a line for each case, and one for each label of it") {
  const MethodEvaluation evaluation = sample("a", 0.1);
  const std::string pairs = evaluation_pairs_csv(evaluation);
  CHECK(pairs.starts_with("case,dice,sdlogj,sdlogj/l2r\nc0,0.45,0.09"));
  CHECK(std::count(pairs.begin(), pairs.end(), '\n') == 3);
  const std::string labels = evaluation_labels_csv(evaluation);
  CHECK(labels.starts_with("case,metric,item,value,initial\nc0,dice,1,0.4,0.30000000000000004\n"));
  CHECK(labels.find("c0,dice,3,,\n") != std::string::npos);  // a label that is nowhere
  CHECK(std::count(labels.begin(), labels.end(), '\n') == 7);
}

TEST_CASE("the items of a metric are its labels, else the cases; other details are not items") {
  const MethodEvaluation evaluation = sample("a", 0.1);
  const Pool dice = pool_of(evaluation.cases, "dice");
  CHECK(dice.items == std::vector<std::string>{"c0/1", "c0/2", "c0/3", "c1/1", "c1/2", "c1/3"});
  CHECK(dice.values[1] == Approx(0.5));
  CHECK(pool_of(evaluation.cases, "sdlogj").items == std::vector<std::string>{"c0", "c1"});
  CHECK(pool_of(evaluation.cases, "sdlogj/l2r").values == std::vector<double>{0.05, 0.05});
}

TEST_CASE("a summary is of the cases, and of the items that were hardest before") {
  const MethodEvaluation evaluation = sample("a", 0.1);
  const MetricSummary dice = summarise(evaluation, evaluation.metrics[0]);
  CHECK(dice.aggregate.n == 2);
  CHECK(dice.aggregate.mean == Approx(0.475));
  CHECK(dice.hardest30 == Approx((0.4 + 0.45) / 2));  // 2 of 4 items
  CHECK(std::isnan(summarise(evaluation, evaluation.metrics[1]).hardest30));
}

TEST_CASE("an evaluation is the same after writing and reading") {
  MethodEvaluation evaluation = sample("a", 0.1);
  evaluation.cases[0].values["hd95"] = std::numeric_limits<double>::infinity();
  const Json json = to_json(evaluation);
  CHECK(json["metrics"]["dice"]["30"].get<double>() == Approx(0.465));
  const MethodEvaluation read = evaluation_from_json(json, "a.json");
  CHECK(dump_line(to_json(read)["metrics"]) == dump_line(json["metrics"]));
  CHECK(read.cases[1].values.at("dice/2") == evaluation.cases[1].values.at("dice/2"));
  CHECK(std::isnan(read.cases[0].values.at("dice/3")));
  CHECK(std::isinf(read.cases[0].values.at("hd95")));
  CHECK_THAT(evaluation_text(read), Catch::Contains("dice") && Catch::Contains("0.4750"));
}

TEST_CASE("a summary says of how many cases it is, and infinite cases have an infinite 30") {
  MethodEvaluation evaluation = sample("a", 0.1);
  evaluation.metrics.push_back({"hd95", Better::kLower});
  evaluation.cases[0].values["hd95"] = std::numeric_limits<double>::infinity();
  CHECK_THAT(evaluation_text(evaluation), Catch::Contains("1 of 2"));
  evaluation.cases[1].values["hd95"] = std::numeric_limits<double>::infinity();
  CHECK(to_json(evaluation)["metrics"]["hd95"]["30"] == "inf");
  CHECK_THAT(evaluation_text(evaluation), !Catch::Contains(" of 2"));
}

TEST_CASE("a file that is no evaluation is refused by name") {
  CHECK_THROWS_WITH(evaluation_from_json(Json::array(), "x.json"), Catch::Contains("x.json: not an evaluation"));
  Json json = to_json(sample("a", 0.1));
  json["schema"] = 99;
  CHECK_THROWS_WITH(evaluation_from_json(json, "x.json"), Catch::Contains("schema 99, this build reads 1"));
  json = to_json(sample("a", 0.1));
  json["cases"] = "none";
  CHECK_THROWS_WITH(evaluation_from_json(json, "x.json"), Catch::Contains("'cases' is a string, a list expected"));
  json = to_json(sample("a", 0.1));
  json["metrics"]["dice"]["better"] = "more";
  CHECK_THROWS_WITH(evaluation_from_json(json, "x.json"), Catch::Contains("better 'more', allowed: higher, lower"));
}

TEST_CASE("methods are ranked by what is significant, equal ones share, the best stands first") {
  const MethodRanking ranking = rank_methods({many("low", 0.05), many("high", 0.3), many("low too", 0.05)}, {});
  REQUIRE(ranking.parts.size() == 3);  // dice, dice30, sdlogj
  CHECK(ranking.parts[0].part.name == "dice");
  CHECK(ranking.parts[0].items == 80);  // label 3 says nothing
  CHECK(ranking.parts[0].beaten == std::vector<int>{1, 0, 1});
  CHECK(ranking.parts[1].part.name == "dice30");
  CHECK(ranking.parts[1].items == 24);
  CHECK(ranking.parts[0].scores[1] == 1.0);
  CHECK(ranking.parts[0].scores[0] == Approx(0.325));
  CHECK(ranking.scores[1] > ranking.scores[0]);
  CHECK(ranking.scores[0] == Approx(ranking.scores[2]));
  const std::string text = ranking_text(ranking);
  CHECK(text.find("high") < text.find("low"));
  CHECK(to_json(ranking)["methods"][1]["parts"]["dice"]["beaten_by"] == 0);
}

TEST_CASE("a score names its parts and how often they count") {
  const std::vector<ScorePart> parts = parse_score("dice, sdlogj/l2r:2");
  REQUIRE(parts.size() == 2);
  CHECK(parts[1].name == "sdlogj/l2r");
  CHECK(parts[1].repeats == 2);
  const MethodRanking ranking = rank_methods({many("a", 0.05), many("b", 0.3)}, parts);
  CHECK(ranking.parts.size() == 2);
  CHECK(ranking.scores[0] == Approx(std::cbrt(0.1 * 0.55 * 0.55)));
  for (const char* bad : {"", "dice:0", "dice:x", "dice,,tre", "dice:1:2"}) {
    CHECK_THROWS_AS(parse_score(bad), ConfigError);
  }
}

TEST_CASE("methods that cannot be compared are refused") {
  const MethodEvaluation a = many("a", 0.1);
  CHECK_THROWS_WITH(rank_methods({a}, {}), Catch::Contains("at least 2"));
  CHECK_THROWS_WITH(rank_methods({a, a}, {}), Catch::Contains("two evaluations of the method 'a'"));
  CHECK_THROWS_WITH(rank_methods({a, sample("b", 0.1)}, {}), Catch::Contains("b: 'dice' is not of the same cases"));
  CHECK_THROWS_WITH(rank_methods({a, many("b", 0.1)}, {{"tre", 1}}), Catch::Contains("a: has no metric 'tre'"));
  CHECK_THROWS_WITH(rank_methods({a, many("b", 0.1)}, {{"sdlogj30", 1}}), Catch::Contains("no initial values"));
  MethodEvaluation holes = many("b", 0.1);
  holes.cases[3].values["sdlogj"] = kNaN;
  CHECK_THROWS_WITH(rank_methods({a, holes}, {{"sdlogj", 1}}), Catch::Contains("b: 'sdlogj' of 'c1-1' is missing"));
  holes.cases[3].values["dice/1"] = kNaN;
  CHECK(rank_methods({a, holes}, {{"dice", 1}}).parts[0].mean[1] <
        rank_methods({a, many("c", 0.1)}, {{"dice", 1}}).parts[0].mean[1]);
}

}  // namespace regatta::test
