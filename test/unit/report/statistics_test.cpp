// Bootstrap, signed-rank test and Holm's correction. Expected p-values are SciPy 1.17.1's
// (`wilcoxon(d, zero_method="zsplit")`).
#include "regatta/report/statistics.hpp"

#include <cmath>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// The definition: all assignments of signs to the ranks of the differences that are not zero.
double p_by_all_signs(const std::vector<double>& differences) {
  std::vector<double> ranks;
  double sum = 0.0;
  for (const double one : differences) {
    double rank = 0.5;
    for (const double other : differences) {
      rank += std::abs(other) < std::abs(one) ? 1.0 : std::abs(other) == std::abs(one) ? 0.5 : 0.0;
    }
    if (one != 0.0) {
      ranks.push_back(rank);
      sum += one > 0.0 ? rank : 0.0;
    }
  }
  const std::size_t all = std::size_t{1} << ranks.size();
  std::size_t below = 0;
  std::size_t above = 0;
  for (std::size_t signs = 0; signs < all; ++signs) {
    double of_signs = 0.0;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      of_signs += (signs >> i & 1U) != 0 ? ranks[i] : 0.0;
    }
    below += of_signs <= sum ? 1 : 0;
    above += of_signs >= sum ? 1 : 0;
  }
  return std::min(1.0, 2.0 * static_cast<double>(std::min(below, above)) / static_cast<double>(all));
}

}  // namespace

TEST_CASE("the signed-rank test is SciPy's without ties, with ties and zeros, and for many differences") {
  CHECK(signed_rank({0.012, -0.004, 0.021, 0.008, -0.0015, 0.017, 0.003, 0.0095}).p ==
        Approx(0.0546875).epsilon(1e-12));
  CHECK(signed_rank({1.0, 2.0, 3.0, 4.0}).p == Approx(0.125).epsilon(1e-12));
  const SignedRank tied = signed_rank({0.5, 0.5, -0.25, 0.0, 0.0, 1.5, 2.0, -0.5, 3.0, 1.0});
  CHECK(tied.p == Approx(0.078125).epsilon(1e-12));
  CHECK(tied.statistic == 45.5);  // 55 - 9.5
  std::vector<double> many;
  for (int i = 0; i < 60; ++i) {
    many.push_back(((i * 37) % 101 - 45) / 10.0);
  }
  const SignedRank normal = signed_rank(many);
  CHECK_FALSE(normal.exact);
  CHECK(normal.p == Approx(0.2647081919479235).epsilon(1e-12));
  std::vector<double> forty_five;
  for (int i = 0; i < 45; ++i) {
    forty_five.push_back(i - 13.5 + 0.01 * i * i);
  }
  CHECK(signed_rank(forty_five).exact);
  CHECK(signed_rank(forty_five).p == Approx(1.530477157984933e-05).epsilon(1e-12));
}

TEST_CASE("the exact signed-rank test counts all assignments of signs") {
  const std::vector<std::vector<double>> lists = {
      {1.0}, {-1.0, 1.0}, {2.0, 2.0, -2.0, 1.0, 0.0}, {0.1, -0.3, 0.3, 0.3, 0.0, 0.0, -0.1, 0.7, 0.9, 1.1, -1.1}};
  for (const std::vector<double>& differences : lists) {
    CHECK(signed_rank(differences).p == Approx(p_by_all_signs(differences)).epsilon(1e-12));
  }
}

TEST_CASE("differences that are all zero, or none, tell nothing") {
  CHECK(signed_rank({}).p == 1.0);
  CHECK(signed_rank({0.0, 0.0, 0.0}).p == 1.0);
  CHECK_THROWS_AS(signed_rank({1.0, std::nan("")}), BugError);
  CHECK(least_signed_rank_p(4) == signed_rank({1.0, 2.0, 3.0, 4.0}).p);
  CHECK(least_signed_rank_p(0) == 1.0);
}

TEST_CASE("Holm's correction multiplies the least p by all, and never falls") {
  const std::vector<double> corrected = holm({0.04, 0.01, 0.03, 0.9});
  CHECK(corrected[0] == Approx(0.09));
  CHECK(corrected[1] == Approx(0.04));
  CHECK(corrected[2] == Approx(0.09));
  CHECK(corrected[3] == Approx(0.9));
  CHECK(holm({0.5, 0.6}) == std::vector<double>{1.0, 1.0});
  CHECK(holm({}).empty());
}

TEST_CASE("a bootstrap interval is the same every time, and as wide as theory has it") {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) {
    values.push_back(std::sin(i * 1.7) + 3.0);
  }
  const Bootstrap bootstrap(values.size());
  const Interval interval = bootstrap.mean(values);
  const Interval again = Bootstrap(values.size()).mean(values);
  CHECK(interval.low == again.low);
  CHECK(interval.high == again.high);
  double mean = 0.0;
  double squares = 0.0;
  for (const double value : values) {
    mean += value / 100.0;
  }
  for (const double value : values) {
    squares += (value - mean) * (value - mean) / 100.0;
  }
  const double half = 1.96 * std::sqrt(squares / 100.0);
  CHECK(interval.low == Approx(mean - half).margin(0.05 * half));
  CHECK(interval.high == Approx(mean + half).margin(0.05 * half));
  CHECK(bootstrap.mean(values, 0.5).high < interval.high);
}

TEST_CASE("a bootstrap of equal values is that value, and its number of values is checked") {
  const Interval interval = Bootstrap(3).mean({0.25, 0.25, 0.25});
  CHECK(interval.low == 0.25);
  CHECK(interval.high == 0.25);
  CHECK_THROWS_AS(Bootstrap(2).mean({1.0, 2.0, 3.0}), BugError);
  CHECK(bootstrap_resamples(4) == 10000);
  CHECK(bootstrap_resamples(1000) == 4000);
  CHECK(bootstrap_resamples(100000) == 1000);
}

}  // namespace regatta::test
