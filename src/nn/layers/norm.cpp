#include "nn/layers/norm.hpp"

#include <array>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/leaky_relu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/norm.hpp"
#include "nn/layers/precision.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

constexpr double kEps = 1e-5;
constexpr std::array<std::int64_t, 3> kSpace = {2, 3, 4};

at::Tensor per_channel(const at::Tensor& values) {
  return values.view({1, -1, 1, 1, 1});
}

/// Before the activation. An undefined weight: no scale and shift.
at::Tensor scaled(at::Tensor normalised, const at::Tensor& weight, const at::Tensor& bias) {
  return weight.defined() ? normalised.mul_(per_channel(weight)).add_(per_channel(bias)) : normalised;
}

/// Scale, shift and a leaky activation (slope 1: none) of normalised values; only the input is kept.
class NormAct : public torch::autograd::Function<NormAct> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const std::optional<at::Tensor>& given_weight, const std::optional<at::Tensor>& given_bias,
                            double slope) {
    const at::Tensor weight = given_weight.value_or(at::Tensor());
    const at::Tensor bias = given_bias.value_or(at::Tensor());
    const at::Tensor mean = input.mean(kSpace, /*keepdim=*/true);  // [N, C, 1, 1, 1]
    at::Tensor centred = input - mean;
    const at::Tensor spread = centred.square().mean(kSpace, true).add_(kEps).rsqrt_();  // 1 / deviation
    context->save_for_backward({input, mean, spread, weight, bias});
    context->saved_data["slope"] = slope;
    at::Tensor out = scaled(centred.mul_(spread), weight, bias);
    return slope == 1.0 ? out : at::leaky_relu_(out, slope);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& weight = saved[3];
    const double slope = context->saved_data["slope"].toDouble();
    const at::Tensor normalised = (saved[0] - saved[1]).mul_(saved[2]);
    at::Tensor gradient = outer.front();
    if (slope != 1.0) {
      const at::Tensor before = weight.defined() ? scaled(normalised.clone(), weight, saved[4]) : normalised;
      gradient = at::leaky_relu_backward(gradient, before, slope, /*self_is_result=*/false);
    }
    const at::Tensor product = gradient.mul(normalised);
    at::Tensor to_weight;
    at::Tensor to_bias;
    at::Tensor mean_gradient = gradient.mean(kSpace, true);
    at::Tensor mean_product = product.mean(kSpace, true);
    if (weight.defined()) {
      const auto voxels = static_cast<double>(gradient.size(2) * gradient.size(3) * gradient.size(4));
      to_weight = mean_product.sum(0).mul_(voxels).view(weight.sizes());
      to_bias = mean_gradient.sum(0).mul_(voxels).view(weight.sizes());
    }
    at::Tensor to_input = (gradient - mean_gradient).sub_(normalised.mul(mean_product)).mul_(saved[2]);
    if (weight.defined()) {
      to_input.mul_(per_channel(weight));
    }
    return {to_input, to_weight, to_bias, at::Tensor()};
  }
};

double leaky_slope_of(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::kNone: return 1.0;
    case Activation::Kind::kRelu: return 0.0;
    case Activation::Kind::kLeaky: return activation.slope;
    case Activation::Kind::kPrelu: break;
  }
  throw BugError("instance norm with a PReLU");
}

}  // namespace

InstanceNorm::InstanceNorm(const Activation& activation) : activation_(activation) {}

InstanceNorm::InstanceNorm(Parameters& parameters, const std::string& name, std::int64_t channels,
                           const Activation& activation)
    : weight_(parameters.add(name + ".weight", {channels}, Init::constant(1.0))),
      bias_(parameters.add(name + ".bias", {channels}, Init::constant(0.0))),
      activation_(activation) {}

at::Tensor InstanceNorm::operator()(const at::Tensor& input) const {
  const bool affine = weight_.defined();
  const double slope = leaky_slope_of(activation_);
  if (fast::has_instance_norm(input, slope, affine)) {
    const StepPart part(Form::kKernel, "instance norm");
    return affine ? fast::instance_norm(input, weight_, bias_, slope) : fast::instance_norm(input, slope);
  }
  const StepPart part(Form::kReference, "instance norm");
  const at::Tensor normalised = NormAct::apply(as_wide(input), affine ? std::optional(weight_) : std::nullopt,
                                               affine ? std::optional(bias_) : std::nullopt, slope);
  return normalised.to(input.scalar_type());
}

}  // namespace regatta
