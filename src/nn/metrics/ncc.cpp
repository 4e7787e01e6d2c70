// The mean local squared correlation of the fixed and the warped volume, window 9: minus the loss "ncc". Background
// counts as 0, so values of different crops do not compare.
#include <limits>

#include <ATen/core/grad_mode.h>

#include "nn/fast/fields.hpp"
#include "nn/ops/local_correlation.hpp"
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
    if (const auto numbers = pending(pair)) {
      return measure_pending(*numbers);
    }
    const at::NoGradGuard no_grad;
    return {{"ncc", local_correlation(pair.fixed, pair.warped, {.window = kWindow}).item<double>()}};
  }

  std::optional<PendingNumbers> pending(const PairState& pair) const override {
    const CorrelationOptions options = {.window = kWindow};
    const bool fast = pair.backend == Backend::kFast && pair.in_unit_range && pair.fixed.defined() &&
                      pair.warped.defined() && fast::has_local_correlation(pair.fixed, pair.warped, options);
    if (!fast) {
      return std::nullopt;
    }
    return PendingNumbers{"ncc", [pair, options] { return fast::local_correlation(pair.fixed, pair.warped, options); },
                          [](const at::Tensor& numbers) {
                            return Measured{{"ncc", numbers.item<double>()}};
                          }};
  }
};

}  // namespace

std::unique_ptr<Metric> make_ncc() {
  return std::make_unique<Ncc>();
}

}  // namespace regatta::metrics
