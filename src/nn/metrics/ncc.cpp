// The mean local squared correlation of the fixed and the warped volume, window 9: minus the loss "ncc". Background
// counts as 0, so values of different crops do not compare.
#include <limits>

#include <ATen/core/grad_mode.h>

#include "nn/fast/fields.hpp"
#include "nn/local_correlation.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

constexpr std::int64_t kWindow = 9;

class Ncc final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!pair.fixed.defined() || !pair.warped.defined()) {
      return {{"ncc", std::numeric_limits<double>::quiet_NaN()}};
    }
    const at::NoGradGuard no_grad;
    const CorrelationOptions options = {.window = kWindow};
    const bool fast = pair.backend == Backend::kFast && pair.in_unit_range &&
                      fast::has_local_correlation(pair.fixed, pair.warped, options);
    const at::Tensor value = (fast ? fast::local_correlation : local_correlation)(pair.fixed, pair.warped, options);
    return {{"ncc", value.item<double>()}};
  }
};

}  // namespace

std::unique_ptr<Metric> make_ncc() {
  return std::make_unique<Ncc>();
}

}  // namespace regatta::metrics
