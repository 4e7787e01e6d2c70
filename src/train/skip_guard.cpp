// Small operators on single numbers, so that no step waits for the device.
#include "train/skip_guard.hpp"

#include <algorithm>
#include <limits>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"
#include "regatta/kernels/gradient_guard.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta {
namespace {

constexpr double kLargestGradient = 1e19;  ///< the second moments are squares in float32

}  // namespace

SkipGuard::SkipGuard(const at::Device& device, std::int64_t most_in_row)
    : most_in_row_(static_cast<double>(most_in_row)) {
  const at::TensorOptions single = at::device(device).dtype(at::kFloat);
  const at::TensorOptions exact = at::device(device).dtype(at::kDouble);
  skip_ = at::zeros({1}, single);
  bad_ = at::zeros({1}, single);
  in_row_ = at::zeros({1}, single);
  skipped_ = at::zeros({1}, exact);
  halted_at_ = at::zeros({1}, exact);
  updates_ = at::zeros({kRemembered}, exact);
  slots_ = at::arange(kRemembered, exact);
}

at::Tensor SkipGuard::check_(const at::Tensor& loss, const std::vector<at::Tensor>& gradients,
                             const UpdateNumbers& numbers) {
  const at::NoGradGuard no_gradients;
  const at::Tensor largest = at::stack(at::_foreach_norm(gradients, std::numeric_limits<double>::infinity())).amax();
  const at::Tensor good = largest.le(kLargestGradient).logical_and(at::isfinite(loss));  // NaN: false
  bad_.copy_(good.logical_not().reshape({1}));
  const at::Tensor going = halted_at_.lt(0.5);
  const at::Tensor skipped = bad_.gt(0.5).logical_and(going);
  const at::Tensor number = numbers.on_device.defined()
                                ? numbers.on_device.select(0, 1)
                                : at::full({}, static_cast<double>(numbers.update), slots_.options());
  updates_.copy_(at::where(slots_.eq(skipped_).logical_and(skipped), number, updates_));
  skipped_.add_(skipped);
  in_row_.add_(1.0).mul_(bad_);
  halted_at_.copy_(at::where(in_row_.ge(most_in_row_).logical_and(going), number, halted_at_));
  return bad_.masked_fill(going.logical_not(), 1.0);
}

at::Tensor SkipGuard::check_flat_(const at::Tensor& loss, const at::Tensor& gradient, const UpdateNumbers& numbers) {
  static_assert(kRemembered == kernels::GuardState::kRemembered);
  const fast::Chip chip = fast::chip_of(gradient);
  const at::Tensor scratch = fast::scratch_like(gradient, kernels::gradient_guard_scratch_bytes());
  if (chip.launches) {
    REGATTA_REQUIRE(numbers.on_device.defined(), BugError, "the fast guard reads its numbers on the device");
    kernels::GuardStep now;
    now.gradient = gradient.const_data_ptr<float>();
    now.count = gradient.numel();
    now.loss = loss.const_data_ptr<float>();
    now.step = static_cast<const kernels::AdamStep*>(numbers.on_device.const_data_ptr());
    now.most_in_row = most_in_row_;
    kernels::GuardState state;
    state.bad = bad_.mutable_data_ptr<float>();
    state.in_row = in_row_.mutable_data_ptr<float>();
    state.skipped = skipped_.mutable_data_ptr<double>();
    state.halted_at = halted_at_.mutable_data_ptr<double>();
    state.updates = updates_.mutable_data_ptr<double>();
    state.skip = skip_.mutable_data_ptr<float>();
    kernels::gradient_guard(now, state, scratch.mutable_data_ptr(), chip.capability, chip.stream);
  }
  return skip_;
}

SkipReport SkipGuard::take_report_() {
  const at::NoGradGuard no_gradients;
  const at::Tensor host = at::cat({skipped_, in_row_.to(at::kDouble), halted_at_, updates_}).to(at::kCPU);
  const double* values = host.const_data_ptr<double>();
  SkipReport report;
  report.skipped = static_cast<std::int64_t>(values[0]);
  report.in_row = static_cast<std::int64_t>(values[1]);
  report.halted_at = static_cast<std::int64_t>(values[2]);
  for (std::int64_t i = 0; i < std::min(report.skipped, kRemembered); ++i) {
    report.updates.push_back(static_cast<std::int64_t>(values[3 + i]));
  }
  if (report.skipped > 0) {
    skipped_.zero_();
  }
  return report;
}

void SkipGuard::set_in_row_(const at::Tensor& in_row) {
  const at::NoGradGuard no_gradients;
  in_row_.copy_(in_row);
  skipped_.zero_();
  halted_at_.zero_();
}

}  // namespace regatta
