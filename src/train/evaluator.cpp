// Validation over pairs.
#include "regatta/train/evaluator.hpp"

#include <cmath>
#include <limits>

#include <ATen/core/grad_mode.h>

#include "regatta/base/clock.hpp"
#include "regatta/nn/device.hpp"

namespace regatta {

Evaluator::Evaluator(const std::vector<std::string>& metrics, Backend backend) : backend_(backend) {
  for (const std::string& name : metrics) {
    names_.push_back(name);
    metrics_.push_back(find_metric(name).make());
    measures_forward_ = measures_forward_ || metrics_.back()->measures_forward();
  }
}

PairState Evaluator::registered(Inference& inference, const PairState& batch) const {
  if (!measures_forward_) {
    return with_output(batch, inference.run_(batch.moving, batch.fixed));
  }
  const c10::Device device = batch.fixed.device();
  synchronize(device);
  const PeakMeter memory(device);
  const double start = system_clock().monotonic_s();
  PairState state = with_output(batch, inference.model().forward(batch.moving, batch.fixed));
  synchronize(device);
  state.network_s = system_clock().monotonic_s() - start;
  if (device.is_cuda()) {
    state.peak_bytes = static_cast<double>(memory.bytes());
  }
  return state;
}

std::optional<Evaluation> Evaluator::evaluate(Inference& inference, const Dataset& data,
                                              const std::vector<ArchivePair>& pairs,
                                              const std::function<bool(std::int64_t, std::int64_t)>& keep_going) const {
  const at::NoGradGuard no_gradients;
  std::vector<const Metric*> metrics;
  for (const auto& metric : metrics_) {
    metrics.push_back(metric.get());
  }
  Evaluation evaluation;
  for (const ArchivePair& pair : pairs) {
    const auto done = static_cast<std::int64_t>(evaluation.pairs.size());
    if (keep_going && !keep_going(done, static_cast<std::int64_t>(pairs.size()))) {
      return std::nullopt;
    }
    const PairState batch = data.gather({pair});
    if (const std::size_t next = evaluation.pairs.size() + 1; next < pairs.size()) {
      data.prefetch({pairs[next]});
    }
    PairState state = registered(inference, batch);
    state.backend = backend_;
    PairMeasures measures{pair, {}};
    for (const Measured& measured : measure_all(metrics, state)) {
      for (const auto& [part, value] : measured) {
        measures.values[part] = value;
      }
    }
    evaluation.pairs.push_back(std::move(measures));
  }
  evaluation.means = means(evaluation.pairs);
  return evaluation;
}

std::map<std::string, double> Evaluator::means(const std::vector<PairMeasures>& pairs) const {
  std::map<std::string, double> means;
  for (const std::string& name : names_) {
    double sum = 0.0;
    int count = 0;
    for (const PairMeasures& measures : pairs) {
      const auto found = measures.values.find(name);
      if (found != measures.values.end() && !std::isnan(found->second)) {
        sum += found->second;
        ++count;
      }
    }
    means[name] = count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
  }
  return means;
}

bool is_better(double value, double best, Direction direction) {
  if (std::isnan(value) || std::isnan(best)) {
    return !std::isnan(value);
  }
  return direction == Direction::kHigherIsBetter ? value > best : value < best;
}

}  // namespace regatta
