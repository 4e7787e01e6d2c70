// Adam and AdamW by LibTorch's fused kernels (one launch for all parameters), Adamax by its multi-tensor operators, and
// the schedules.
#include "regatta/train/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_abs.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/error.hpp"
#include "regatta/kernels/adam.hpp"
#include "regatta/nn/chip.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kFlatBlock = 64;  ///< values: parameters begin at multiples of 256 bytes

std::string moment_name(const std::string& kind, const std::string& parameter) {
  return str("optim/", kind, "/", parameter);
}

void copy_moments(std::vector<at::Tensor>& moments, const std::vector<std::string>& names, const std::string& kind,
                  const SafetensorsFile& file, const std::string& source) {
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const std::string name = moment_name(kind, names[i]);
    const auto found =
        std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& item) { return item.first == name; });
    REGATTA_REQUIRE(found != file.tensors.end(), DataError, source, ": tensor '", name, "' is missing");
    REGATTA_REQUIRE(found->second.sizes() == moments[i].sizes(), DataError, source, ": tensor '", name, "': shape [",
                    join(found->second.sizes(), ","), "], the parameter's is [", join(moments[i].sizes(), ","), "]");
    moments[i].copy_(found->second);
  }
}

}  // namespace

double learning_rate(const OptimOptions& optim, std::int64_t epoch) {
  if (optim.schedule == "constant") {
    return optim.lr;
  }
  REGATTA_REQUIRE(optim.horizon_epochs > 0, BugError, "schedule without a horizon");
  const double at = static_cast<double>(std::min(epoch, optim.horizon_epochs - 1));
  const double rate = optim.lr * std::pow(1.0 - at / static_cast<double>(optim.horizon_epochs), optim.power);
  return std::nearbyint(rate * 1e8) / 1e8;
}

Optimizer::Optimizer(const Parameters& parameters, const OptimOptions& options, Backend backend)
    : options_(options),
      rule_(options.name == "adamax"  ? Rule::kAdamax
            : options.name == "adamw" ? Rule::kAdamW
                                      : Rule::kAdam) {
  const at::NoGradGuard no_gradients;
  if (rule_ == Rule::kAdamax) {
    second_.kind = "u";
  }
  for (const Parameter& parameter : parameters.items()) {
    names_.push_back(parameter.name);
    values_.push_back(parameter.value);
    m_.tensors.push_back(at::zeros_like(parameter.value));
    second_.tensors.push_back(at::zeros_like(parameter.value));
    if (options_.amsgrad) {
      vmax_.tensors.push_back(at::zeros_like(parameter.value));
    }
  }
  REGATTA_REQUIRE(!values_.empty(), BugError, "optimiser over no parameters");
  REGATTA_REQUIRE(rule_ != Rule::kAdamax || !options_.amsgrad, BugError, "adamax with AMSGrad");
  updates_.assign(values_.size(), at::zeros({}, values_.front().options()));
  if (backend == Backend::kFast && rule_ != Rule::kAdamax && fast::has_chip(values_.front())) {
    lay_flat_();
  }
}

void Optimizer::lay_flat_() {
  std::int64_t count = 0;
  std::vector<std::int64_t> offsets;
  for (const at::Tensor& value : values_) {
    offsets.push_back(count);
    count += (value.numel() + kFlatBlock - 1) / kFlatBlock * kFlatBlock;
  }
  const at::TensorOptions options = values_.front().options().requires_grad(false);
  const auto view = [&](const at::Tensor& flat, std::size_t i) {
    return flat.narrow(0, offsets[i], values_[i].numel()).view(values_[i].sizes());
  };
  flat_.value = at::zeros({count}, options);
  flat_.gradient = at::zeros({count}, options);
  flat_.m = at::zeros({count}, options);
  flat_.v = at::zeros({count}, options);
  flat_.vmax = options_.amsgrad ? at::zeros({count}, options) : at::Tensor();
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const at::Tensor value = view(flat_.value, i);
    value.copy_(values_[i]);
    values_[i].set_data(value);
    m_.tensors[i] = view(flat_.m, i);
    second_.tensors[i] = view(flat_.v, i);
    if (options_.amsgrad) {
      vmax_.tensors[i] = view(flat_.vmax, i);
    }
    flat_.gradients.push_back(view(flat_.gradient, i));
  }
}

const at::Tensor& Optimizer::flat_gradient_() {
  const at::NoGradGuard no_gradients;
  at::_foreach_copy_(flat_.gradients, gradients());
  return flat_.gradient;
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> gradients;
  gradients.reserve(values_.size());
  for (const at::Tensor& value : values_) {
    gradients.push_back(value.grad().defined() ? value.grad() : at::zeros_like(value));
  }
  return gradients;
}

const char* Optimizer::name_of(Rule rule) {
  switch (rule) {
    case Rule::kAdam: return "Adam";
    case Rule::kAdamW: return "AdamW";
    case Rule::kAdamax: break;
  }
  return "Adamax";
}

void Optimizer::step_(const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers, const at::Tensor& skip) {
  const at::NoGradGuard no_gradients;
  const StepPart part(is_flat() ? Form::kKernel : Form::kReference, name_of(rule_));
  if (is_flat()) {
    flat_step_(numbers, skip);
  } else if (rule_ == Rule::kAdamax) {
    adamax_step_(gradients, numbers, skip);
  } else {
    adam_step_(gradients, numbers, skip);
  }
}

/// The gradients are those of the last `flat_gradient_`.
void Optimizer::flat_step_(const UpdateNumbers& numbers, const at::Tensor& skip) {
  const fast::Chip chip = fast::chip_of(flat_.value);
  if (!chip.launches) {
    return;
  }
  REGATTA_REQUIRE(numbers.on_device.defined(), BugError, "the fast optimiser reads its numbers on the device");
  kernels::AdamArrays arrays;
  arrays.value = flat_.value.mutable_data_ptr<float>();
  arrays.gradient = flat_.gradient.const_data_ptr<float>();
  arrays.m = flat_.m.mutable_data_ptr<float>();
  arrays.v = flat_.v.mutable_data_ptr<float>();
  arrays.vmax = options_.amsgrad ? flat_.vmax.mutable_data_ptr<float>() : nullptr;
  arrays.count = flat_.value.numel();
  const kernels::AdamRule rule = {options_.beta1, options_.beta2, options_.eps, options_.weight_decay,
                                  rule_ == Rule::kAdamW};
  kernels::adam(arrays, rule, static_cast<const kernels::AdamStep*>(numbers.on_device.const_data_ptr()),
                skip.const_data_ptr<float>(), chip.capability, chip.stream);
}

void Optimizer::adam_step_(const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers,
                           const at::Tensor& skip) {
  const auto step_with = [&](const auto& rate) {
    const auto fused = [&](auto operation) {
      operation(values_, gradients, m_.tensors, second_.tensors, vmax_.tensors, updates_, rate, options_.beta1,
                options_.beta2, options_.weight_decay, options_.eps, options_.amsgrad, /*maximize=*/false,
                std::optional<at::Tensor>(), skip);
    };
    if (rule_ == Rule::kAdamW) {
      fused([](auto&&... all) { at::_fused_adamw_(all...); });
    } else {
      fused([](auto&&... all) { at::_fused_adam_(all...); });
    }
  };
  if (numbers.on_device.defined()) {
    updates_.front().copy_(numbers.on_device.select(0, 1));
    step_with(numbers.on_device.select(0, 0).to(at::kFloat));
  } else {
    updates_.front().fill_(static_cast<double>(numbers.update));
    step_with(numbers.lr);
  }
}

void Optimizer::adamax_step_(const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers,
                             const at::Tensor& skip) {
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
        options_.weight_decay == 0.0 ? gradients[i] : gradients[i].add(values_[i], options_.weight_decay);
    usable.push_back(penalised.masked_fill(skipped, 0.0));
  }
  at::_foreach_mul_(m_.tensors, unless_skipped(options_.beta1, 1.0));
  at::_foreach_add_(m_.tensors, at::_foreach_mul(usable, 1.0 - options_.beta1));
  std::vector<at::Tensor> size = at::_foreach_abs(usable);
  at::_foreach_add_(size, unless_skipped(options_.eps, 0.0));
  at::_foreach_mul_(second_.tensors, unless_skipped(options_.beta2, 1.0));
  at::_foreach_maximum_(second_.tensors, size);
  // The floor matters only where every gradient so far was 0, and so is m.
  std::vector<at::Tensor> change =
      at::_foreach_div(m_.tensors, at::_foreach_clamp_min(second_.tensors, std::numeric_limits<float>::min()));
  const auto rate_of = [this](const auto& rate, const auto& remaining) { return rate / (1.0 - remaining); };
  const at::Tensor rate =
      numbers.on_device.defined()
          ? rate_of(numbers.on_device.select(0, 0), at::pow(options_.beta1, numbers.on_device.select(0, 1)))
                .to(at::kFloat)
          : at::full({}, rate_of(numbers.lr, std::pow(options_.beta1, static_cast<double>(numbers.update))),
                     skip.options());
  at::_foreach_mul_(change, rate.masked_fill(skipped, 0.0));
  at::_foreach_sub_(values_, change);
}

void Optimizer::clear_gradients_() {
  for (at::Tensor& value : values_) {
    value.mutable_grad() = at::Tensor();
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors state;
  for (const Moments* moments : {&m_, &second_, &vmax_}) {
    for (std::size_t i = 0; i < moments->tensors.size(); ++i) {
      state.emplace_back(moment_name(moments->kind, names_[i]), moments->tensors[i]);
    }
  }
  return state;
}

void Optimizer::load_state_(const SafetensorsFile& file, const std::string& source) {
  const at::NoGradGuard no_gradients;
  for (Moments* moments : {&m_, &second_, &vmax_}) {
    copy_moments(moments->tensors, names_, moments->kind, file, source);
  }
}

}  // namespace regatta
