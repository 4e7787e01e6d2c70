// Learn2Reg's statistics over the measures of an evaluation: aggregates, robustness on the hardest items, pairwise
// tests and the ranking of methods. Pure arithmetic over numbers; nothing here reads a file.
//
// Source: Learn2Reg's evaluation code and ranking notebooks. Where those have a known fault, the default is what was
// meant and a named option gives what they compute.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace regatta {

enum class Better { kHigher, kLower };

/// "higher", "lower"
const char* better_text(Better better);

/// Over the values that are numbers; NaN where there are none. An infinite value makes mean and std infinite or NaN.
struct Aggregate {
  double mean = 0.0;
  double std = 0.0;         ///< of the population (divided by n), as numpy's
  double quantile30 = 0.0;  ///< 30 % of the values are worse than this
  std::size_t n = 0;
};

/// The quantile of sorted numbers, linear between them (numpy's default); between infinite ones the lower. @param share
/// 0..1; values not empty
double quantile(std::vector<double> values, double share);

/// For lower-is-better values the "30" is their 0.7 quantile.
Aggregate aggregate(const std::vector<double>& values, Better better);

/// Learn2Reg takes the 0.3 quantile of HD95 too, which is its good end. `aggregate(values, Better::kHigher)` replicates
/// that; this names it.
Aggregate aggregate_hd95_as_learn2reg(const std::vector<double>& values);

/// Indices of the hardest share of items by a fixed difficulty, one a method cannot influence: the lowest initial Dice,
/// the highest initial TRE. Items of NaN difficulty are left out; at a tie the earlier item is the harder one.
/// @param initial  before registration
/// @param better   direction of that measure
/// @return ceil(share * number of items), hardest first
std::vector<std::size_t> hardest(const std::vector<double>& initial, Better better, double share = 0.3);

/// DSC30, TRE30: the mean of `values` over the hardest items; NaN values are left out.
double mean_of_hardest(const std::vector<double>& values, const std::vector<std::size_t>& items);

struct RankSum {
  double statistic = 0.0;  ///< positive if the first sample is larger
  double p = 1.0;          ///< two-sided
};

/// Wilcoxon's rank-sum test of two unpaired samples, normal approximation without correction for ties: scipy's
/// ranksums. Learn2Reg's text speaks of signed ranks, its code does this. @throws BugError for an empty sample or NaN
RankSum rank_sum(const std::vector<double>& first, const std::vector<double>& second);

/// What a missing value counts as before methods are compared.
struct Missing {
  double value = 0.0;
  bool infinite_too = false;  ///< for infinite values as well
};

/// Learn2Reg's: Dice 0, HD95 10 (infinite too), runtime 5000 s (one task took 3500). Other metrics have none; for a
/// missing SDlogJ its notebooks write in 1.5 to 5 by hand.
/// @param metric  name of one of our metrics ("dice", "dice_linear", "hd95", "runtime")
std::optional<Missing> missing_value(const std::string& metric);

void substitute(std::vector<double>& values, const Missing& missing);

/// How many other methods are significantly better than each (p < 0.05).
/// @param pools  one per method: the metric's values over all cases and labels or key-points
std::vector<int> beaten_by(const std::vector<std::vector<double>>& pools, Better better);

/// Scores from counts: methods in order of the counts get 0.1 to 1 in equal steps, the least beaten 1; equal counts
/// share the mean of their places. A method alone has 1.
std::vector<double> rank_scores(const std::vector<int>& beaten);

/// Geometric mean of a method's scores, each as often as it counts.
double geometric_mean(const std::vector<double>& scores, const std::vector<int>& repeats);

}  // namespace regatta
