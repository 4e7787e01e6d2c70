#include "regatta/train/validation_benchmark.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "regatta/base/error.hpp"
#include "regatta/config/baseline.hpp"
#include "regatta/nn/metric.hpp"
#include "train/benchmark_parts.hpp"

namespace regatta {
namespace {

constexpr int kSlowRepetitions = 2;  ///< of a metric on the CPU

double apart(double value, double reference) {
  if (value == reference || (std::isnan(value) && std::isnan(reference))) {
    return 0.0;
  }
  const double difference = std::abs(value - reference);
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

double most_apart(const Measured& values, const Measured& reference, const char* name) {
  REGATTA_REQUIRE(values.size() == reference.size(), BugError, name, ": ", values.size(), " numbers, by reference ",
                  reference.size());
  double most = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    most = std::max(most, apart(values[i].second, reference[i].second));
  }
  return most;
}

}  // namespace

ValidationTimes benchmark_validation(const PairState& pair, int steps) {
  const at::Device device = pair.fixed.device();
  PairState by_reference = pair;
  by_reference.backend = Backend::kReference;
  ValidationTimes times;
  std::vector<std::unique_ptr<Metric>> made;
  std::vector<const Metric*> together;
  for (const BaselineMetric& one : kBaselineMetrics) {
    made.push_back(find_metric(one.name).make());
    const Metric& metric = *made.back();
    if (one.together) {
      together.push_back(&metric);
    }
    Measured measured;
    const auto measure = [&] { measured = metric.measure(pair); };
    repeat_ms(device, 1, measure);
    times.metric_ms[one.name] = repeat_ms(device, one.together ? steps : std::min(steps, kSlowRepetitions), measure);
    if (pair.backend != Backend::kReference && one.together) {
      const double most = most_apart(measured, metric.measure(by_reference), one.name);
      times.from_reference[one.name] = most;
      REGATTA_REQUIRE(most <= one.most_apart, BugError, one.name, " differs from the reference by ", most);
    }
  }
  const auto all = [&] { measure_all(together, pair); };
  repeat_ms(device, 1, all);
  times.together_ms = repeat_ms(device, steps, all);
  return times;
}

}  // namespace regatta
