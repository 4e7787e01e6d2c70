// Bytes on the device that the forward pass needed beyond what was held before it (weights, data set). Only where it
// was measured; validation measures it when this metric is asked for, on a GPU.
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Memory final : public Metric {
 public:
  bool measures_forward() const override { return true; }

  Measured measure(const PairState& pair) const override { return {{"memory", pair.peak_bytes}}; }
};

}  // namespace

std::unique_ptr<Metric> make_memory() {
  return std::make_unique<Memory>();
}

}  // namespace regatta::metrics
