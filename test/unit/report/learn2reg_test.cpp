// Learn2Reg's statistics against numbers of numpy and scipy, its published scores, and cases counted by hand.
#include "regatta/report/learn2reg.hpp"

#include <cmath>
#include <limits>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinite = std::numeric_limits<double>::infinity();

std::vector<double> wave(double offset) {
  std::vector<double> values;
  for (int i = 0; i < 50; ++i) {
    values.push_back(std::sin(0.37 * i) + offset);
  }
  return values;
}

}  // namespace

TEST_CASE("aggregates are numpy's mean, std and quantile, NaN left out") {
  const std::vector<double> values = {3, 1, kNaN, 4, 1, 5, 9, 2.5, 6};
  const Aggregate lower = aggregate(values, Better::kLower);
  CHECK(lower.n == 8);
  CHECK(lower.mean == 3.9375);
  CHECK(lower.std == Approx(2.530285309999645).epsilon(1e-14));
  CHECK(lower.quantile30 == Approx(4.9).epsilon(1e-14));
  CHECK(aggregate(values, Better::kHigher).quantile30 == Approx(2.55).epsilon(1e-14));
  CHECK(aggregate({7.0}, Better::kLower).quantile30 == 7.0);
  CHECK(std::isnan(aggregate({kNaN}, Better::kLower).mean));
  CHECK(aggregate({kNaN}, Better::kLower).n == 0);
}

TEST_CASE("the 30 of infinite values is infinite, not NaN") {
  CHECK(aggregate({kInfinite, kInfinite}, Better::kLower).quantile30 == kInfinite);
  CHECK(aggregate({kInfinite, kInfinite}, Better::kLower).mean == kInfinite);
  CHECK(aggregate({17.0, kInfinite}, Better::kLower).quantile30 == kInfinite);
  CHECK(aggregate({-kInfinite, 3.0}, Better::kHigher).quantile30 == -kInfinite);
  CHECK(quantile({1.0, 2.0, 3.0, kInfinite, kInfinite}, 0.5) == 3.0);
}

TEST_CASE("the 30 of HD95 is its bad end, and Learn2Reg's own good end by name") {
  const std::vector<double> hd95 = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  CHECK(aggregate(hd95, Better::kLower).quantile30 == Approx(8.0));
  CHECK(aggregate_hd95_as_learn2reg(hd95).quantile30 == Approx(4.0));
  CHECK(aggregate_hd95_as_learn2reg(hd95).mean == aggregate(hd95, Better::kLower).mean);
}

TEST_CASE("the hardest items are chosen by what was there before, whatever a method made of them") {
  const std::vector<double> initial_dice = {0.5, 0.1, kNaN, 0.9, 0.3, 0.1, 0.8, 0.7, 0.6, 0.4, 0.2};
  const std::vector<std::size_t> items = hardest(initial_dice, Better::kHigher);
  CHECK(items == std::vector<std::size_t>{1, 5, 10});
  CHECK(hardest(initial_dice, Better::kLower) == std::vector<std::size_t>{3, 6, 7});
  const std::vector<double> dice = {0.9, 0.6, 0.0, 0.9, 0.9, 0.7, 0.9, 0.9, 0.9, 0.9, kNaN};
  CHECK(mean_of_hardest(dice, items) == Approx(0.65));
  CHECK(hardest({1.0, 2.0, 3.0, 4.0}, Better::kLower) == std::vector<std::size_t>{3, 2});
  CHECK(hardest({}, Better::kLower).empty());
  CHECK(std::isnan(mean_of_hardest(dice, {})));
}

TEST_CASE("the rank-sum test is scipy's, ties included") {
  const std::vector<double> a = {1, 2, 2, 3, 5, 8.5};
  const std::vector<double> b = {2, 4, 4, 9, 7, 3, 1, 11};
  CHECK(rank_sum(a, b).statistic == Approx(-0.9036961141150639).epsilon(1e-13));
  CHECK(rank_sum(a, b).p == Approx(0.3661565601940604).epsilon(1e-12));
  CHECK(rank_sum(b, a).statistic == Approx(0.9036961141150639).epsilon(1e-13));
  CHECK(rank_sum(a, a).statistic == 0.0);
  CHECK(rank_sum(a, a).p == 1.0);
  CHECK(rank_sum(wave(0), wave(1)).p == Approx(4.952385912913811e-08).epsilon(1e-9));
  CHECK_THROWS_AS(rank_sum(a, {}), BugError);
  CHECK_THROWS_AS(rank_sum(a, {1.0, kNaN}), BugError);
}

TEST_CASE("four shifted waves are ranked as in Learn2Reg's code") {
  const std::vector<std::vector<double>> methods = {wave(0), wave(0.02), wave(0.5), wave(1)};
  const std::vector<int> beaten = beaten_by(methods, Better::kHigher);
  CHECK(beaten == std::vector<int>{2, 2, 1, 0});
  const std::vector<double> scores = rank_scores(beaten);
  const std::vector<double> golden = {0.25, 0.25, 0.7, 1.0};
  for (std::size_t i = 0; i < golden.size(); ++i) {
    CHECK(scores[i] == Approx(golden[i]).epsilon(1e-12));
  }
  CHECK(beaten_by(methods, Better::kLower) == std::vector<int>{0, 0, 2, 3});
}

TEST_CASE("a method alone has the full score, equal ones share theirs") {
  CHECK(rank_scores({0}) == std::vector<double>{1.0});
  CHECK(rank_scores({}).empty());
  for (const double score : rank_scores({1, 1, 1})) {
    CHECK(score == Approx(0.55));
  }
}

TEST_CASE("the task score is Learn2Reg 2022's of the NLST winner") {
  CHECK(geometric_mean({0.888, 0.888, 0.325, 0.775}, {1, 2, 1, 1}) == Approx(0.707).epsilon(1e-3));
  CHECK(geometric_mean({0.4, 0.9}, {1, 1}) == Approx(0.6));
  CHECK(geometric_mean({0.4, 0.9}, {0, 3}) == Approx(0.9));
  CHECK_THROWS_AS(geometric_mean({0.4}, {1, 1}), BugError);
}

TEST_CASE("what is missing counts as Learn2Reg's notebooks have it") {
  std::vector<double> dice = {0.5, kNaN};
  substitute(dice, *missing_value("dice"));
  CHECK(dice == std::vector<double>{0.5, 0.0});
  std::vector<double> hd95 = {kNaN, 2.0, kInfinite};
  substitute(hd95, *missing_value("hd95"));
  CHECK(hd95 == std::vector<double>{10.0, 2.0, 10.0});
  std::vector<double> runtime = {kNaN};
  substitute(runtime, *missing_value("runtime"));
  CHECK(runtime == std::vector<double>{5000.0});
  CHECK(!missing_value("sdlogj"));
}

}  // namespace regatta::test
