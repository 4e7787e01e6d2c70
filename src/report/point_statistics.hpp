// What is behind a row of the leaderboard: its validation pairs, the interval of its mean, whether it differs from
// the first, and its values where registration is hardest.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "regatta/report/report.hpp"

namespace regatta {

/// (moving, fixed)
using PairKey = std::pair<std::string, std::string>;

/// A validation pair of a point: each metric over those of its trials that have measured the pair.
struct PointPair {
  std::string moving;
  std::string fixed;
  std::map<std::string, Summary> values;
};

/// By names of the pairs.
std::vector<PointPair> pairs_of(const Report& report, const ReportPoint& point);

/// Items (pair, or pair and label) of a metric that were hardest before training: "moving\tfixed", "moving\tfixed/17".
std::set<std::string> hardest_items(const Report& report, const std::string& metric);

/// Metrics whose values before training tell how hard an item is, overlap and distances, as far as they were measured.
std::vector<std::string> metrics_of_difficulty(const Report& report);

/// A metric of each pair: means over the trials of a point that have a finite value of the pair.
std::map<PairKey, double> pair_means(const Report& report, const ReportPoint& point, const std::string& metric);

/// Test of paired values on the pairs that both have: differences are `values` minus `others`.
struct PairedTest {
  std::size_t pairs = 0;
  double difference = 0.0;  ///< mean
  double p = 1.0;           ///< of the signed-rank test, two-sided
};
PairedTest paired_test(const std::map<PairKey, double>& values, const std::map<PairKey, double>& others);

/// Fills `Report::difficulty`, `Report::statistics` and of each point `interval`, `against_first` and `hardest30`.
/// After `rank`, and before pairs are dropped by `limit_pair_values`. A note says so where the validation pairs are too
/// few for any point to differ significantly from the first.
void add_point_statistics(Report& report);

}  // namespace regatta
