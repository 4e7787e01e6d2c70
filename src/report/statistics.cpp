#include "regatta/report/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "regatta/report/learn2reg.hpp"

namespace regatta {
namespace {

constexpr std::uint64_t kBootstrapSeed = 0;
constexpr std::size_t kMostExact = 50;  // as SciPy

/// Ranks of the absolute values, doubled so that those shared by ties are whole, and what ties take off the variance.
struct Ranks {
  std::vector<std::int64_t> doubled;
  double ties = 0.0;  ///< sum of t^3 - t
};

Ranks ranks_of(const std::vector<double>& differences) {
  std::vector<std::size_t> order(differences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return std::abs(differences[a]) < std::abs(differences[b]); });
  Ranks ranks{std::vector<std::int64_t>(differences.size()), 0.0};
  for (std::size_t start = 0; start < order.size();) {
    std::size_t end = start + 1;
    while (end < order.size() && std::abs(differences[order[end]]) == std::abs(differences[order[start]])) {
      ++end;
    }
    for (std::size_t i = start; i < end; ++i) {
      ranks.doubled[order[i]] = static_cast<std::int64_t>(start + 1 + end);
    }
    const auto count = static_cast<double>(end - start);
    ranks.ties += count * count * count - count;
    start = end;
  }
  return ranks;
}

/// Two-sided p of a sum of ranks under all assignments of signs.
double exact_p(const std::vector<std::int64_t>& ranks, std::int64_t sum) {
  const std::int64_t most = std::accumulate(ranks.begin(), ranks.end(), std::int64_t{0});
  std::vector<double> ways(static_cast<std::size_t>(most) + 1, 0.0);  // at most 2^50 in all: whole numbers
  ways[0] = 1.0;
  for (const std::int64_t rank : ranks) {
    for (auto to = static_cast<std::size_t>(most); to >= static_cast<std::size_t>(rank); --to) {
      ways[to] += ways[to - static_cast<std::size_t>(rank)];
    }
  }
  const auto middle = ways.begin() + static_cast<std::ptrdiff_t>(sum);
  const double all = std::accumulate(ways.begin(), ways.end(), 0.0);
  const double below = std::accumulate(ways.begin(), middle + 1, 0.0);
  const double above = std::accumulate(middle, ways.end(), 0.0);
  return std::min(1.0, 2.0 * std::min(below, above) / all);
}

}  // namespace

std::int64_t bootstrap_resamples(std::size_t n) {
  constexpr std::int64_t kMost = 10000;
  constexpr std::int64_t kLeast = 1000;
  constexpr std::int64_t kDraws = 4000000;
  return n == 0 ? kMost : std::clamp(kDraws / static_cast<std::int64_t>(n), kLeast, kMost);
}

Bootstrap::Bootstrap(std::size_t n) : n_(n) {
  REGATTA_REQUIRE(n >= 1, BugError, "bootstrap of no values");
  const CounterRng random(kBootstrapSeed, RandomPurpose::kBootstrap);
  const std::int64_t resamples = bootstrap_resamples(n);
  draws_.reserve(static_cast<std::size_t>(resamples) * n);
  for (std::int64_t resample = 0; resample < resamples; ++resample) {
    for (std::size_t draw = 0; draw < n; ++draw) {
      draws_.push_back(static_cast<std::uint32_t>(
          random.below(n, static_cast<std::uint64_t>(resample), static_cast<std::uint32_t>(draw))));
    }
  }
}

Interval Bootstrap::mean(const std::vector<double>& values, double confidence) const {
  REGATTA_REQUIRE(values.size() == n_, BugError, "bootstrap of ", n_, " values, got ", values.size());
  std::vector<double> means;
  means.reserve(draws_.size() / n_);
  for (std::size_t start = 0; start < draws_.size(); start += n_) {
    double sum = 0.0;
    for (std::size_t draw = start; draw < start + n_; ++draw) {
      sum += values[draws_[draw]];
    }
    means.push_back(sum / static_cast<double>(n_));
  }
  std::sort(means.begin(), means.end());
  const double tail = (1.0 - confidence) / 2.0;
  return {quantile(means, tail), quantile(means, 1.0 - tail)};
}

SignedRank signed_rank(const std::vector<double>& differences) {
  REGATTA_REQUIRE(std::all_of(differences.begin(), differences.end(), [](double d) { return std::isfinite(d); }),
                  BugError, "signed-rank test of a difference that is not finite");
  SignedRank out;
  if (differences.empty()) {
    return out;
  }
  const Ranks ranks = ranks_of(differences);
  std::vector<std::int64_t> signed_ranks;
  std::int64_t positive = 0;
  std::int64_t zeros = 0;
  for (std::size_t i = 0; i < differences.size(); ++i) {
    positive += differences[i] > 0.0 ? ranks.doubled[i] : 0;
    zeros += differences[i] == 0.0 ? ranks.doubled[i] : 0;
    if (differences[i] != 0.0) {
      signed_ranks.push_back(ranks.doubled[i]);
    }
  }
  out.statistic = 0.5 * static_cast<double>(positive) + 0.25 * static_cast<double>(zeros);
  if (signed_ranks.empty()) {
    return out;
  }
  out.exact = differences.size() <= kMostExact;
  if (out.exact) {
    out.p = exact_p(signed_ranks, positive);
    return out;
  }
  const auto n = static_cast<double>(differences.size());
  const double deviation = std::sqrt((n * (n + 1.0) * (2.0 * n + 1.0) - ranks.ties / 2.0) / 24.0);
  out.p = std::erfc(std::abs(out.statistic - n * (n + 1.0) / 4.0) / deviation / std::sqrt(2.0));
  return out;
}

double least_signed_rank_p(std::size_t n) {
  return std::min(1.0, std::ldexp(1.0, 1 - static_cast<int>(std::min<std::size_t>(n, 1000))));
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.size());
  double least = 0.0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    least = std::max(least, std::min(1.0, static_cast<double>(p.size() - i) * p[order[i]]));
    corrected[order[i]] = least;
  }
  return corrected;
}

}  // namespace regatta
