// Standard deviation of the logarithm of the Jacobian determinant, central differences, 2 voxels left out at each side,
// within the fixed mask where there is one. The detail "sdlogj/l2r" adds 3 to the determinant first, as Learn2Reg's
// evaluation does, which nearly hides folding. The fast form sums the same logarithms in another order.
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/masked_select.h>
#include <ATen/ops/stack.h>

#include "nn/ops/jacobian.hpp"
#include "regatta/kernels/jacobian.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

constexpr std::int64_t kMargin = kLogMargin;

at::Tensor deviation_of_log(const at::Tensor& determinant) {
  return determinant.clamp(kLeastDeterminant, kMostDeterminant).log_().std(/*unbiased=*/false);
}

bool has_inside(const at::Tensor& flow) {
  return flow.defined() && flow.size(2) > 2 * kMargin && flow.size(3) > 2 * kMargin && flow.size(4) > 2 * kMargin;
}

class SdLogJ final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!has_inside(pair.flow)) {
      return absent();
    }
    check_mask("sdlogj", pair.fixed_mask, pair.flow);
    if (const auto numbers = pending(pair)) {
      return measure_pending(*numbers);
    }
    const at::NoGradGuard no_grad;
    at::Tensor determinant = without_border(jacobian_determinant(pair.flow), kMargin);  // [N, D, H, W]
    if (pair.fixed_mask.defined()) {
      determinant = at::masked_select(determinant, without_border(pair.fixed_mask[0].ne(0), kMargin));
    }
    if (determinant.numel() == 0) {
      return absent();
    }
    determinant = determinant.to(at::kDouble);
    const at::Tensor both =
        at::stack({deviation_of_log(determinant), deviation_of_log(determinant + kLearn2RegShift)}).cpu();
    return {{"sdlogj", both[0].item<double>()}, {"sdlogj/l2r", both[1].item<double>()}};
  }

  std::optional<PendingNumbers> pending(const PairState& pair) const override {
    if (!has_inside(pair.flow)) {
      return std::nullopt;
    }
    check_mask("sdlogj", pair.fixed_mask, pair.flow);
    return pending_jacobian(pair, [](const double* sums) {
      const auto of = [sums](kernels::JacobianSum which) { return sums[static_cast<int>(which)]; };
      const double voxels = of(kernels::JacobianSum::kVoxels);
      if (voxels == 0.0) {
        return absent();
      }
      return Measured{
          {"sdlogj", deviation(of(kernels::JacobianSum::kLog), of(kernels::JacobianSum::kLogSquares), voxels)},
          {"sdlogj/l2r",
           deviation(of(kernels::JacobianSum::kShifted), of(kernels::JacobianSum::kShiftedSquares), voxels)}};
    });
  }

 private:
  static double deviation(double sum, double squares, double count) {
    const double variance = squares / count - sum / count * (sum / count);
    return variance < 0.0 ? 0.0 : std::sqrt(variance);  // NaN stays
  }

  static Measured absent() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {{"sdlogj", nan}, {"sdlogj/l2r", nan}};
  }
};

}  // namespace

std::unique_ptr<Metric> make_sdlogj() {
  return std::make_unique<SdLogJ>();
}

}  // namespace regatta::metrics
