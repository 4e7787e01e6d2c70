// Adamax (L2 weight decay) in operators over all parameters at once. It divides by max(beta2 u, |g| + eps), as PyTorch
// does; the paper (Kingma and Ba 2015, algorithm 2) has no eps.
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_abs.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/full.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include "regatta/base/error.hpp"
#include "train/optimizers/update_rule.hpp"

namespace regatta::optimizers {
namespace {

class Adamax final : public UpdateRule {
 public:
  explicit Adamax(const OptimOptions& options) : options_(options) {}

  const char* title() const override { return "Adamax"; }
  const char* second_kind() const override { return "u"; }  // the largest gradient

  void step_(OptimizerArrays& arrays, const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers,
             const at::Tensor& skip) const override {
    // A skipped update multiplies by 1, adds 0 and subtracts 0: the decision stays on the device. Its gradients may be
    // NaN, which no factor removes, hence the `where`.
    const at::Tensor skipped = skip.reshape({}).gt(0.5);
    const auto unless_skipped = [&](double value, double otherwise) {
      return at::where(skipped, at::full({}, otherwise, skip.options()), at::full({}, value, skip.options()));
    };
    std::vector<at::Tensor> usable;  // gradients with the L2 penalty
    usable.reserve(gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const at::Tensor penalised =
          options_.weight_decay == 0.0 ? gradients[i] : gradients[i].add(arrays.values[i], options_.weight_decay);
      usable.push_back(penalised.masked_fill(skipped, 0.0));
    }
    at::_foreach_mul_(arrays.first.tensors, unless_skipped(options_.beta1, 1.0));
    at::_foreach_add_(arrays.first.tensors, at::_foreach_mul(usable, 1.0 - options_.beta1));
    std::vector<at::Tensor> size = at::_foreach_abs(usable);
    at::_foreach_add_(size, unless_skipped(options_.eps, 0.0));
    at::_foreach_mul_(arrays.second.tensors, unless_skipped(options_.beta2, 1.0));
    at::_foreach_maximum_(arrays.second.tensors, size);
    // The floor matters only where every gradient so far was 0, and so is m.
    std::vector<at::Tensor> change = at::_foreach_div(
        arrays.first.tensors, at::_foreach_clamp_min(arrays.second.tensors, std::numeric_limits<float>::min()));
    const auto rate_of = [this](const auto& rate, const auto& remaining) { return rate / (1.0 - remaining); };
    const at::Tensor rate =
        numbers.on_device.defined()
            ? rate_of(numbers.on_device.select(0, 0), at::pow(options_.beta1, numbers.on_device.select(0, 1)))
                  .to(at::kFloat)
            : at::full({}, rate_of(numbers.lr, std::pow(options_.beta1, static_cast<double>(numbers.update))),
                       skip.options());
    at::_foreach_mul_(change, rate.masked_fill(skipped, 0.0));
    at::_foreach_sub_(arrays.values, change);
  }

 private:
  OptimOptions options_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_adamax(const OptimOptions& options) {
  REGATTA_REQUIRE(!options.amsgrad, BugError, "adamax with AMSGrad");
  return std::make_unique<Adamax>(options);
}

}  // namespace regatta::optimizers
