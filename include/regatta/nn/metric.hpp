// Validation metrics of one pair, measured on the device, without gradients. One file in src/nn/metrics, one row in
// metrics.def each.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "regatta/nn/loss.hpp"

namespace regatta {

enum class Direction { kHigherIsBetter, kLowerIsBetter };

/// Named numbers; the first is the metric itself ("dice"), others are details ("dice/17").
using Measured = std::vector<std::pair<std::string, double>>;

class Metric {
 public:
  virtual ~Metric() = default;

  /// @param pair  one pair (N = 1). A metric whose inputs are absent gives NaN.
  virtual Measured measure(const PairState& pair) const = 0;
};

struct MetricRow {
  const char* name;
  const char* help;
  Direction direction;
  const char* needs;  ///< "labels", "key-points", "images" or "": what a pair must have
  std::unique_ptr<Metric> (*make)();
};

const std::vector<MetricRow>& metric_rows();

/// @throws ConfigError for an unknown name, listing all
const MetricRow& find_metric(const std::string& name);

}  // namespace regatta
