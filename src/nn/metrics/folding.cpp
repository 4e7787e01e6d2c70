// Percent of voxels where p + u(p) folds: Jacobian determinant not positive, on the whole grid, one-sided differences
// at the borders. Source: the IXI evaluation of the TransMorph repository.
#include <limits>

#include <ATen/core/grad_mode.h>

#include "nn/ops/jacobian.hpp"
#include "regatta/kernels/jacobian.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Folding final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!pair.flow.defined()) {
      return {{"folding", std::numeric_limits<double>::quiet_NaN()}};
    }
    if (const auto numbers = pending(pair)) {
      return measure_pending(*numbers);
    }
    const at::NoGradGuard no_grad;
    const at::Tensor determinant = jacobian_determinant(pair.flow);
    const std::int64_t good = determinant.gt(0.0).sum().item<std::int64_t>();  // NaN is not good
    return percent_of(determinant.numel() - good, determinant.numel());
  }

  std::optional<PendingNumbers> pending(const PairState& pair) const override {
    return pending_jacobian(pair, [voxels = pair.flow.defined() ? pair.flow.numel() / 3 : 0](const double* sums) {
      return percent_of(static_cast<std::int64_t>(sums[static_cast<int>(kernels::JacobianSum::kFolds)]), voxels);
    });
  }

 private:
  static Measured percent_of(std::int64_t folds, std::int64_t voxels) {
    return {{"folding", 100.0 * static_cast<double>(folds) / static_cast<double>(voxels)}};
  }
};

}  // namespace

std::unique_ptr<Metric> make_folding() {
  return std::make_unique<Folding>();
}

}  // namespace regatta::metrics
