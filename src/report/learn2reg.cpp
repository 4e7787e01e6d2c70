#include "regatta/report/learn2reg.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr double kSignificant = 0.05;
constexpr double kLowestScore = 0.1;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> numbers_of(const std::vector<double>& values) {
  std::vector<double> numbers;
  std::copy_if(values.begin(), values.end(), std::back_inserter(numbers), [](double v) { return !std::isnan(v); });
  return numbers;
}

double mean_of(const std::vector<double>& values) {
  return values.empty() ? kNaN
                        : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<std::size_t> indices(std::size_t count) {
  std::vector<std::size_t> out(count);
  std::iota(out.begin(), out.end(), std::size_t{0});
  return out;
}

Aggregate aggregate_at(const std::vector<double>& values, double share) {
  const std::vector<double> numbers = numbers_of(values);
  Aggregate out{kNaN, kNaN, kNaN, numbers.size()};
  if (numbers.empty()) {
    return out;
  }
  out.mean = mean_of(numbers);
  double squares = 0.0;
  for (const double value : numbers) {
    squares += (value - out.mean) * (value - out.mean);
  }
  out.std = std::sqrt(squares / static_cast<double>(numbers.size()));
  out.quantile30 = quantile(numbers, share);
  return out;
}

}  // namespace

const char* better_text(Better better) {
  return better == Better::kHigher ? "higher" : "lower";
}

double quantile(std::vector<double> values, double share) {
  REGATTA_REQUIRE(!values.empty() && share >= 0.0 && share <= 1.0, BugError, "quantile ", share, " of ", values.size(),
                  " values");
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const double part = place - static_cast<double>(below);
  if (part == 0.0 || std::isinf(values[below])) {  // infinite values have no difference
    return values[below];
  }
  return values[below] + part * (values[below + 1] - values[below]);
}

Aggregate aggregate(const std::vector<double>& values, Better better) {
  return aggregate_at(values, better == Better::kHigher ? 0.3 : 0.7);
}

Aggregate aggregate_hd95_as_learn2reg(const std::vector<double>& values) {
  return aggregate_at(values, 0.3);
}

std::vector<std::size_t> hardest(const std::vector<double>& initial, Better better, double share) {
  std::vector<std::size_t> items;
  for (const std::size_t i : indices(initial.size())) {
    if (!std::isnan(initial[i])) {
      items.push_back(i);
    }
  }
  std::stable_sort(items.begin(), items.end(), [&](std::size_t a, std::size_t b) {
    return better == Better::kHigher ? initial[a] < initial[b] : initial[a] > initial[b];
  });
  constexpr double kRounding = 1e-9;  // 0.3 * 10 is a little more than 3
  items.resize(static_cast<std::size_t>(std::ceil(share * static_cast<double>(items.size()) - kRounding)));
  return items;
}

double mean_of_hardest(const std::vector<double>& values, const std::vector<std::size_t>& items) {
  std::vector<double> chosen;
  std::transform(items.begin(), items.end(), std::back_inserter(chosen), [&](std::size_t i) { return values.at(i); });
  return mean_of(numbers_of(chosen));
}

RankSum rank_sum(const std::vector<double>& first, const std::vector<double>& second) {
  std::vector<double> all = first;
  all.insert(all.end(), second.begin(), second.end());
  REGATTA_REQUIRE(!first.empty() && !second.empty() && numbers_of(all).size() == all.size(), BugError,
                  "rank-sum test of ", first.size(), " and ", second.size(),
                  " values, both non-empty without NaN wanted");
  std::vector<std::size_t> order = indices(all.size());
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return all[a] < all[b]; });
  double sum = 0.0;  // ranks of the first sample, from 1; ties share their mean
  for (std::size_t start = 0; start < order.size();) {
    std::size_t end = start + 1;
    while (end < order.size() && all[order[end]] == all[order[start]]) {
      ++end;
    }
    const double rank = 0.5 * static_cast<double>(start + 1 + end);
    const auto from_first = std::count_if(order.begin() + static_cast<std::ptrdiff_t>(start),
                                          order.begin() + static_cast<std::ptrdiff_t>(end),
                                          [&](std::size_t i) { return i < first.size(); });
    sum += rank * static_cast<double>(from_first);
    start = end;
  }
  const auto n1 = static_cast<double>(first.size());
  const auto n2 = static_cast<double>(second.size());
  RankSum out;
  out.statistic = (sum - n1 * (n1 + n2 + 1) / 2) / std::sqrt(n1 * n2 * (n1 + n2 + 1) / 12);
  out.p = std::erfc(std::abs(out.statistic) / std::sqrt(2.0));
  return out;
}

std::optional<Missing> missing_value(const std::string& metric) {
  if (metric == "dice" || metric == "dice_linear") {
    return Missing{0.0, false};
  }
  if (metric == "hd95") {
    return Missing{10.0, true};
  }
  if (metric == "runtime") {
    return Missing{5000.0, true};
  }
  return std::nullopt;
}

void substitute(std::vector<double>& values, const Missing& missing) {
  for (double& value : values) {
    if (std::isnan(value) || (missing.infinite_too && std::isinf(value))) {
      value = missing.value;
    }
  }
}

std::vector<int> beaten_by(const std::vector<std::vector<double>>& pools, Better better) {
  std::vector<int> beaten(pools.size(), 0);
  for (std::size_t i = 0; i < pools.size(); ++i) {
    for (std::size_t j = 0; j < pools.size(); ++j) {
      if (i == j) {
        continue;
      }
      const RankSum test = rank_sum(pools[i], pools[j]);
      const bool is_better = better == Better::kHigher ? test.statistic > 0.0 : test.statistic < 0.0;
      beaten[j] += is_better && test.p < kSignificant ? 1 : 0;
    }
  }
  return beaten;
}

std::vector<double> rank_scores(const std::vector<int>& beaten) {
  std::vector<double> scores(beaten.size(), 1.0);
  if (beaten.size() < 2) {
    return scores;
  }
  const double step = (1.0 - kLowestScore) / static_cast<double>(beaten.size() - 1);
  for (std::size_t i = 0; i < beaten.size(); ++i) {
    const auto worse = std::count_if(beaten.begin(), beaten.end(), [&](int other) { return other > beaten[i]; });
    const auto equal = std::count(beaten.begin(), beaten.end(), beaten[i]);
    scores[i] = kLowestScore + step * (static_cast<double>(worse) + 0.5 * static_cast<double>(equal - 1));
  }
  return scores;
}

double geometric_mean(const std::vector<double>& scores, const std::vector<int>& repeats) {
  REGATTA_REQUIRE(scores.size() == repeats.size(), BugError, scores.size(), " scores, ", repeats.size(), " repeats");
  double logs = 0.0;
  int count = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    logs += repeats[i] * std::log(scores[i]);
    count += repeats[i];
  }
  return count > 0 ? std::exp(logs / count) : kNaN;
}

}  // namespace regatta
