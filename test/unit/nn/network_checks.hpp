// What every network's test asks: golden weights and volumes, both memory layouts, a step that helps.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "regatta/nn/model.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {

inline std::unique_ptr<Model> golden_model(const std::string& name, const Json& options,
                                           const NetworkContext& context = {}) {
  auto model = make_model(name, options, context);
  set_golden_weights(model->parameters());
  return model;
}

inline ModelOutput golden_forward(const std::string& name, const Json& options, std::int64_t D, std::int64_t H,
                                  std::int64_t W, bool channels_last = false) {
  const at::NoGradGuard no_grad;
  const auto model = golden_model(name, options, {.channels_last = channels_last});
  return model->forward(golden_image(D, H, W, 0.0), golden_image(D, H, W, 1.0));
}

inline double golden_voxel(const at::Tensor& volume, std::int64_t channel) {
  return volume[0][channel][21][32][21].item<double>();
}

/// Largest relative difference of flow and warped volume between the two memory layouts.
inline double layout_difference(const std::string& name, const Json& options) {
  const ModelOutput plain = golden_forward(name, options, 16, 32, 48);
  const ModelOutput last = golden_forward(name, options, 16, 32, 48, true);
  return std::max(relative_difference(last.flow, plain.flow), relative_difference(last.warped, plain.warped));
}

/// Mean squared difference of a pair before and after one small step against its gradient, in training.
inline std::pair<double, double> one_step(const std::string& name, const Json& options) {
  const auto model = make_model(name, options);
  model->parameters().initialise(3);
  const at::Tensor moving = golden_image(16, 32, 16, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 16, 1.0);
  const auto loss = [&] {
    model->set_training({.seed = 5, .step = 2});
    const ModelOutput out = model->forward(moving, fixed);
    const at::Tensor value = out.warped.sub(fixed).square().mean();
    return out.inverse_warped.defined() ? value.add(out.inverse_warped.sub(moving).square().mean()) : value;
  };
  const at::Tensor before = loss();
  before.backward();
  const at::NoGradGuard no_grad;
  double square = 0.0;
  for (const Parameter& parameter : model->parameters().items()) {
    if (parameter.value.grad().defined()) {
      square += parameter.value.grad().square().sum(at::kDouble).item<double>();
    }
  }
  const double step = 1e-3 * before.item<double>() / square;  // a thousandth less, to first order
  for (const Parameter& parameter : model->parameters().items()) {
    if (parameter.value.grad().defined()) {
      parameter.value.detach().sub_(parameter.value.grad(), step);
    }
  }
  return {before.item<double>(), loss().item<double>()};
}

/// The parameter of that name, undefined if there is none.
inline at::Tensor parameter_of(const Model& model, const std::string& name) {
  for (const Parameter& parameter : model.parameters().items()) {
    if (parameter.name == name) {
      return parameter.value;
    }
  }
  return {};
}

}  // namespace regatta::test
