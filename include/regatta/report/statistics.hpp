// Statistics over validation pairs: bootstrap intervals, the paired signed-rank test, Holm's correction. Pure
// arithmetic over numbers; nothing here reads a file or knows of a report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace regatta {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// How many resamples an interval over n values is made of: 10 000, for more than 400 values fewer, at least 1000.
std::int64_t bootstrap_resamples(std::size_t n);

/// Percentile bootstrap of means. The draws are a pure function of n (Philox4x32-10), so that the same values give the
/// same interval anywhere, and the intervals of several lists of one length are of the same resamples.
class Bootstrap {
 public:
  /// @param n  number of values, at least 1
  explicit Bootstrap(std::size_t n);

  /// @param values      n finite numbers
  /// @param confidence  0..1, share of the resampled means between the two ends
  /// @throws BugError for another number of values
  Interval mean(const std::vector<double>& values, double confidence = 0.95) const;

 private:
  std::size_t n_;
  std::vector<std::uint32_t> draws_;  ///< n to a resample
};

struct SignedRank {
  double statistic = 0.0;  ///< sum of the ranks of positive differences, with half of the ranks of zeros
  double p = 1.0;          ///< two-sided
  bool exact = true;       ///< else the normal approximation, corrected for ties
};

/// Wilcoxon's signed-rank test of paired differences. Zeros are ranked, and their ranks split between both signs
/// ("zsplit"). Up to 50 differences the distribution over all signs is exact, with ties too; above it the normal
/// approximation without correction for continuity. SciPy's `wilcoxon(d, zero_method="zsplit")` where that is exact.
/// @param differences  finite numbers; none: p = 1
/// @throws BugError for a number that is not finite
SignedRank signed_rank(const std::vector<double>& differences);

/// The least p that a two-sided signed-rank test of n differences can give: 2^(1 - n), at most 1.
double least_signed_rank_p(std::size_t n);

/// p-values corrected for their number by Holm's step-down rule, in the order given.
std::vector<double> holm(const std::vector<double>& p);

}  // namespace regatta
