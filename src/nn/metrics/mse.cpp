// Mean squared difference of the fixed and the warped volume.
#include <limits>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/mse_loss.h>

#include "nn/shapes.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Mse final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!pair.fixed.defined() || !pair.warped.defined()) {
      return {{"mse", std::numeric_limits<double>::quiet_NaN()}};
    }
    check_image_pair("mse", pair.fixed, pair.warped);
    const at::NoGradGuard no_grad;
    return {{"mse", at::mse_loss(pair.warped, pair.fixed).item<double>()}};
  }

  std::optional<PendingNumbers> pending(const PairState& pair) const override {
    if (pair.backend != Backend::kFast || !pair.fixed.defined() || !pair.warped.defined()) {
      return std::nullopt;
    }
    check_image_pair("mse", pair.fixed, pair.warped);
    return PendingNumbers{"mse", [pair] { return at::mse_loss(pair.warped, pair.fixed); },
                          [](const at::Tensor& numbers) {
                            return Measured{{"mse", numbers.item<double>()}};
                          }};
  }
};

}  // namespace

std::unique_ptr<Metric> make_mse() {
  return std::make_unique<Mse>();
}

}  // namespace regatta::metrics
