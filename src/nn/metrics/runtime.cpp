// Seconds of the forward pass, the device waited for before and after. Only where it was measured; validation measures
// it when this metric is asked for. The first pair of a process includes the start of the GPU's libraries.
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Runtime final : public Metric {
 public:
  bool measures_forward() const override { return true; }

  Measured measure(const PairState& pair) const override { return {{"runtime", pair.network_s}}; }
};

}  // namespace

std::unique_ptr<Metric> make_runtime() {
  return std::make_unique<Runtime>();
}

}  // namespace regatta::metrics
