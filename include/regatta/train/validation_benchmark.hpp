// Times what validation measures of one registered pair, and compares it with the reference in the same run.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "regatta/nn/loss.hpp"

namespace regatta {

struct ValidationTimes {
  std::map<std::string, std::vector<double>> metric_ms;  ///< each metric alone, its numbers on the host at the end
  std::vector<double> together_ms;               ///< all but hd95 as validation measures them: the host waits once
  std::map<std::string, double> from_reference;  ///< of each metric: the largest difference of one of its numbers
};

/// The metrics of `kBaselineMetrics`.
/// @param pair   one pair with labels and a network's output, its backend set
/// @param steps  repetitions
/// @throws BugError if a number differs from the reference's by more than its metric may
ValidationTimes benchmark_validation(const PairState& pair, int steps);

}  // namespace regatta
