// Percent of voxels where p + u(p) folds: Jacobian determinant not positive, on the whole grid, one-sided differences
// at the borders. Source: the IXI evaluation of the TransMorph repository.
#include <limits>

#include <ATen/core/grad_mode.h>

#include "nn/jacobian.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Folding final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!pair.flow.defined()) {
      return {{"folding", std::numeric_limits<double>::quiet_NaN()}};
    }
    const at::NoGradGuard no_grad;
    const at::Tensor determinant = jacobian_determinant(pair.flow);
    const std::int64_t good = determinant.gt(0.0).sum().item<std::int64_t>();  // NaN is not good
    const auto total = static_cast<double>(determinant.numel());
    return {{"folding", 100.0 * (total - static_cast<double>(good)) / total}};
  }
};

}  // namespace

std::unique_ptr<Metric> make_folding() {
  return std::make_unique<Folding>();
}

}  // namespace regatta::metrics
