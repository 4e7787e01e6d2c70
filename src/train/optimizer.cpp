// Where parameters and moments lie, what is saved, and the table of update rules.
#include "regatta/train/optimizer.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/error.hpp"
#include "regatta/kernels/adam.hpp"
#include "regatta/nn/chip.hpp"
#include "regatta/nn/forms.hpp"
#include "train/optimizers/update_rule.hpp"

namespace regatta {

#define REGATTA_OPTIMIZER(file, name, amsgrad, help) std::unique_ptr<UpdateRule> make_##file(const OptimOptions&);
namespace optimizers {
#include "regatta/config/optimizers.def"
}  // namespace optimizers
#undef REGATTA_OPTIMIZER

namespace {

struct RuleMaker {
  std::string_view name;
  std::unique_ptr<UpdateRule> (*make)(const OptimOptions&);
};

constexpr std::array kRules = {
#define REGATTA_OPTIMIZER(file, name, amsgrad, help) RuleMaker{#name, optimizers::make_##file},
#include "regatta/config/optimizers.def"
#undef REGATTA_OPTIMIZER
};

std::unique_ptr<UpdateRule> make_rule(const OptimOptions& options) {
  const auto* found =
      std::find_if(kRules.begin(), kRules.end(), [&](const RuleMaker& row) { return options.name == row.name; });
  REGATTA_REQUIRE(found != kRules.end(), BugError, "/optim/name: '", options.name, "'");
  return found->make(options);
}

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

Optimizer::Optimizer(const Parameters& parameters, const OptimOptions& options, Backend backend)
    : options_(options), rule_(make_rule(options)), arrays_(std::make_unique<OptimizerArrays>()) {
  const at::NoGradGuard no_gradients;
  arrays_->second.kind = rule_->second_kind();
  for (const Parameter& parameter : parameters.items()) {
    names_.push_back(parameter.name);
    arrays_->values.push_back(parameter.value);
    arrays_->first.tensors.push_back(at::zeros_like(parameter.value));
    arrays_->second.tensors.push_back(at::zeros_like(parameter.value));
    if (options_.amsgrad) {
      arrays_->largest.tensors.push_back(at::zeros_like(parameter.value));
    }
  }
  REGATTA_REQUIRE(!arrays_->values.empty(), BugError, "optimiser over no parameters");
  arrays_->updates.assign(arrays_->values.size(), at::zeros({}, arrays_->values.front().options()));
  if (backend == Backend::kFast && rule_->kernel() && fast::has_chip(arrays_->values.front())) {
    lay_flat_();
  }
}

Optimizer::~Optimizer() = default;

void Optimizer::lay_flat_() {
  std::int64_t count = 0;
  std::vector<std::int64_t> offsets;
  for (const at::Tensor& value : arrays_->values) {
    offsets.push_back(count);
    count += (value.numel() + kFlatBlock - 1) / kFlatBlock * kFlatBlock;
  }
  const at::TensorOptions options = arrays_->values.front().options().requires_grad(false);
  const auto view = [&](const at::Tensor& flat, std::size_t i) {
    return flat.narrow(0, offsets[i], arrays_->values[i].numel()).view(arrays_->values[i].sizes());
  };
  flat_.value = at::zeros({count}, options);
  flat_.gradient = at::zeros({count}, options);
  flat_.m = at::zeros({count}, options);
  flat_.v = at::zeros({count}, options);
  flat_.vmax = options_.amsgrad ? at::zeros({count}, options) : at::Tensor();
  for (std::size_t i = 0; i < arrays_->values.size(); ++i) {
    const at::Tensor value = view(flat_.value, i);
    value.copy_(arrays_->values[i]);
    arrays_->values[i].set_data(value);
    arrays_->first.tensors[i] = view(flat_.m, i);
    arrays_->second.tensors[i] = view(flat_.v, i);
    if (options_.amsgrad) {
      arrays_->largest.tensors[i] = view(flat_.vmax, i);
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
  gradients.reserve(arrays_->values.size());
  for (const at::Tensor& value : arrays_->values) {
    gradients.push_back(value.grad().defined() ? value.grad() : at::zeros_like(value));
  }
  return gradients;
}

void Optimizer::step_(const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers, const at::Tensor& skip) {
  const at::NoGradGuard no_gradients;
  const StepPart part(is_flat() ? Form::kKernel : Form::kReference, rule_->title());
  if (is_flat()) {
    flat_step_(numbers, skip);
  } else {
    rule_->step_(*arrays_, gradients, numbers, skip);
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
  kernels::adam(arrays, rule_->kernel().value(),
                static_cast<const kernels::AdamStep*>(numbers.on_device.const_data_ptr()), skip.const_data_ptr<float>(),
                chip.capability, chip.stream);
}

void Optimizer::clear_gradients_() {
  for (at::Tensor& value : arrays_->values) {
    value.mutable_grad() = at::Tensor();
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors state;
  for (const Moments* moments : {&arrays_->first, &arrays_->second, &arrays_->largest}) {
    for (std::size_t i = 0; i < moments->tensors.size(); ++i) {
      state.emplace_back(moment_name(moments->kind, names_[i]), moments->tensors[i]);
    }
  }
  return state;
}

void Optimizer::load_state_(const SafetensorsFile& file, const std::string& source) {
  const at::NoGradGuard no_gradients;
  for (Moments* moments : {&arrays_->first, &arrays_->second, &arrays_->largest}) {
    copy_moments(moments->tensors, names_, moments->kind, file, source);
  }
}

}  // namespace regatta
