// Adam by LibTorch's fused kernel (one launch for all parameters) and the schedules.
#include "regatta/train/optimizer.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

void copy_moments(std::vector<at::Tensor>& moments, const std::vector<std::string>& names, const std::string& kind,
                  const SafetensorsFile& file, const std::string& source) {
  for (std::size_t i = 0; i < moments.size(); ++i) {
    const std::string name = str("optim/", kind, "/", names[i]);
    const auto found =
        std::find_if(file.tensors.begin(), file.tensors.end(), [&](const auto& item) { return item.first == name; });
    REGATTA_REQUIRE(found != file.tensors.end(), DataError, source, ": tensor '", name, "' is missing");
    REGATTA_REQUIRE(found->second.sizes() == moments[i].sizes(), DataError, source, ": tensor '", name, "': shape [",
                    join(found->second.sizes(), ","), "], the parameter's is [", join(moments[i].sizes(), ","), "]");
    moments[i].copy_(found->second);
  }
}

void append_state(NamedTensors& state, const std::vector<at::Tensor>& moments, const std::vector<std::string>& names,
                  const std::string& kind) {
  for (std::size_t i = 0; i < moments.size(); ++i) {
    state.emplace_back(str("optim/", kind, "/", names[i]), moments[i]);
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

Adam::Adam(const Parameters& parameters, const OptimOptions& options) : options_(options) {
  const at::NoGradGuard no_gradients;
  for (const Parameter& parameter : parameters.items()) {
    names_.push_back(parameter.name);
    values_.push_back(parameter.value);
    m_.push_back(at::zeros_like(parameter.value));
    v_.push_back(at::zeros_like(parameter.value));
    if (options_.amsgrad) {
      vmax_.push_back(at::zeros_like(parameter.value));
    }
  }
  REGATTA_REQUIRE(!values_.empty(), BugError, "optimiser over no parameters");
  updates_.assign(values_.size(), at::zeros({}, values_.front().options()));
}

std::vector<at::Tensor> Adam::gradients() const {
  std::vector<at::Tensor> gradients;
  gradients.reserve(values_.size());
  for (const at::Tensor& value : values_) {
    gradients.push_back(value.grad().defined() ? value.grad() : at::zeros_like(value));
  }
  return gradients;
}

void Adam::step_(const std::vector<at::Tensor>& gradients, double lr, std::int64_t update, const at::Tensor& skip) {
  const at::NoGradGuard no_gradients;
  updates_.front().fill_(static_cast<double>(update));
  at::_fused_adam_(values_, gradients, m_, v_, vmax_, updates_, lr, options_.beta1, options_.beta2,
                   options_.weight_decay, options_.eps, options_.amsgrad, /*maximize=*/false, {}, skip);
}

void Adam::clear_gradients_() {
  for (at::Tensor& value : values_) {
    value.mutable_grad() = at::Tensor();
  }
}

NamedTensors Adam::state() const {
  NamedTensors state;
  append_state(state, m_, names_, "m");
  append_state(state, v_, names_, "v");
  append_state(state, vmax_, names_, "vmax");
  return state;
}

void Adam::load_state_(const SafetensorsFile& file, const std::string& source) {
  const at::NoGradGuard no_gradients;
  copy_moments(m_, names_, "m", file, source);
  copy_moments(v_, names_, "v", file, source);
  copy_moments(vmax_, names_, "vmax", file, source);
}

}  // namespace regatta
