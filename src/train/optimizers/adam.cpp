// Adam (L2 weight decay) and AdamW (decoupled weight decay), both with AMSGrad if asked for, by LibTorch's fused
// kernels: one launch for all parameters.
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>

#include "train/optimizers/update_rule.hpp"

namespace regatta::optimizers {
namespace {

class Adam final : public UpdateRule {
 public:
  Adam(const OptimOptions& options, bool decoupled) : options_(options), decoupled_(decoupled) {}

  const char* title() const override { return decoupled_ ? "AdamW" : "Adam"; }

  std::optional<kernels::AdamRule> kernel() const override {
    return kernels::AdamRule{options_.beta1, options_.beta2, options_.eps, options_.weight_decay, decoupled_};
  }

  void step_(OptimizerArrays& arrays, const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers,
             const at::Tensor& skip) const override {
    const auto step_with = [&](const auto& rate) {
      const auto fused = [&](auto operation) {
        operation(arrays.values, gradients, arrays.first.tensors, arrays.second.tensors, arrays.largest.tensors,
                  arrays.updates, rate, options_.beta1, options_.beta2, options_.weight_decay, options_.eps,
                  options_.amsgrad, /*maximize=*/false, std::optional<at::Tensor>(), skip);
      };
      if (decoupled_) {
        fused([](auto&&... all) { at::_fused_adamw_(all...); });
      } else {
        fused([](auto&&... all) { at::_fused_adam_(all...); });
      }
    };
    if (numbers.on_device.defined()) {
      arrays.updates.front().copy_(numbers.on_device.select(0, 1));
      step_with(numbers.on_device.select(0, 0).to(at::kFloat));
    } else {
      arrays.updates.front().fill_(static_cast<double>(numbers.update));
      step_with(numbers.lr);
    }
  }

 private:
  OptimOptions options_;
  bool decoupled_;
};

}  // namespace

std::unique_ptr<UpdateRule> make_adam(const OptimOptions& options) {
  return std::make_unique<Adam>(options, options.name == "adamw");
}

}  // namespace regatta::optimizers
