// Validation: every metric on every validation pair, on the device, and the means over the pairs. What is done with the
// numbers (best weights, metrics.jsonl) is the trainer's business.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "regatta/nn/metric.hpp"
#include "regatta/train/dataset.hpp"
#include "regatta/train/inference.hpp"

namespace regatta {

/// All measures of one pair: "dice", "dice/17", "ncc" ...
struct PairMeasures {
  ArchivePair pair;
  std::map<std::string, double> values;
};

struct Evaluation {
  std::map<std::string, double> means;  ///< of each metric, over the pairs where it is a number; NaN if there is none
  std::vector<PairMeasures> pairs;
};

class Evaluator {
 public:
  /// @param backend  whose forms of the metrics are taken, where it has them
  /// @throws ConfigError for an unknown metric
  explicit Evaluator(const std::vector<std::string>& metrics, Backend backend = Backend::kReference);

  /// Time and memory of the forward pass are measured only if a metric wants them ("runtime", "memory"): that waits for
  /// the device twice per pair, and the passes are not captured, as in `register`. Otherwise the host waits once per
  /// pair, for all metrics that the backend has forms of.
  /// @param keep_going  asked before each pair with (done, all); false ends the validation without a result
  std::optional<Evaluation> evaluate(Inference& inference, const Dataset& data, const std::vector<ArchivePair>& pairs,
                                     const std::function<bool(std::int64_t, std::int64_t)>& keep_going = {}) const;

  /// Of each metric, over the pairs where it is a number; NaN if there is none.
  std::map<std::string, double> means(const std::vector<PairMeasures>& pairs) const;

 private:
  PairState registered(Inference& inference, const PairState& batch) const;

  Backend backend_;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Metric>> metrics_;
  bool measures_forward_ = false;
};

/// True if `value` is a number and better than `best`, or `best` is none.
bool is_better(double value, double best, Direction direction);

}  // namespace regatta
