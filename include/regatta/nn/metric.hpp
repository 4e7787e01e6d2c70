// Validation metrics of one pair, measured on the device, without gradients. One file in src/nn/metrics, one row in
// metrics.def each.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "regatta/nn/loss.hpp"

namespace regatta {

enum class Direction { kHigherIsBetter, kLowerIsBetter };

/// Named numbers; the first is the metric itself ("dice"), others are details ("dice/17").
using Measured = std::vector<std::pair<std::string, double>>;

/// Numbers of a pair that a metric leaves on the device, so that the host waits for all metrics at once.
struct PendingNumbers {
  std::string name;                   ///< metrics that give the same name share the numbers of a pair
  std::function<at::Tensor()> queue;  ///< gives the work to the device, waits for nothing; integers below 2^53
  std::function<Measured(const at::Tensor& numbers)> read;  ///< of the same, [n] float64 on the CPU
};

class Metric {
 public:
  virtual ~Metric() = default;

  /// Whether the forward pass has to be timed, and its memory measured, before `measure`.
  virtual bool measures_forward() const { return false; }

  /// Whether its details are values of labels or key-points that are known before registration too, so that the 30 %
  /// that were worst then can be ranked (DSC30, TRE30).
  virtual bool ranks_difficulty() const { return false; }

  /// Whether its numbers are lengths in millimetres: the size of the moving scan's voxels must be known.
  virtual bool in_millimetres() const { return false; }

  /// @param pair  one pair (N = 1). A metric whose inputs are absent gives NaN.
  virtual Measured measure(const PairState& pair) const = 0;

  /// The same in two parts, where the pair's backend has a form of this metric that leaves its numbers on the device.
  virtual std::optional<PendingNumbers> pending(const PairState& pair) const {
    (void)pair;
    return std::nullopt;
  }
};

/// What one metric left on the device.
Measured measure_pending(const PendingNumbers& numbers);

/// Every metric of one pair, in their order. Numbers that are pending come to the host in one copy.
std::vector<Measured> measure_all(const std::vector<const Metric*>& metrics, const PairState& pair);

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
