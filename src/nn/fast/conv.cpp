#include "nn/fast/conv.hpp"

#include <array>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/leaky_relu_backward.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/upsample_nearest3d.h>
#include <ATen/ops/upsample_nearest3d_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/layers/work.hpp"
#include "regatta/base/error.hpp"

namespace regatta::fast {
namespace {

constexpr std::array<std::int64_t, 3> kOnes = {1, 1, 1};
constexpr std::array<std::int64_t, 3> kZeros = {0, 0, 0};

/// What a reader owes to one input.
struct Reading {
  double leaky = 1.0;
  bool upsample = false;
};

at::Tensor in_layout(const at::Tensor& tensor) {
  return tensor.to(at::kBFloat16, false, false, at::MemoryFormat::ChannelsLast3d);
}

std::vector<std::int64_t> doubled(const at::Tensor& volume) {
  return {2 * volume.size(2), 2 * volume.size(3), 2 * volume.size(4)};
}

/// Convolution of up to two inputs by cuDNN.
class Conv : public torch::autograd::Function<Conv> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& first,
                            const std::optional<at::Tensor>& second, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const ConvLayer& layer,
                            const std::array<Reading, 2>& readings) {
    context->save_for_backward({first, second.value_or(at::Tensor()), weight});
    context->saved_data["strides"] = layer.strides;
    context->saved_data["padding"] = layer.padding;
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["leaky"] = std::vector<double>{readings[0].leaky, readings[1].leaky};
    context->saved_data["upsample"] = std::vector<std::int64_t>{readings[0].upsample, readings[1].upsample};
    const std::array<std::int64_t, 3> paddings = {layer.padding, layer.padding, layer.padding};
    const at::Tensor input = joined(first, second.value_or(at::Tensor()), readings);
    at::Tensor out = at::convolution(input, in_layout(weight), bias ? bias->to(at::kBFloat16) : bias, layer.strides,
                                     paddings, kOnes, false, kZeros, 1);
    switch (layer.activation.kind) {
      case Activation::Kind::kNone: break;
      case Activation::Kind::kRelu: at::relu_(out); break;
      case Activation::Kind::kLeaky: at::leaky_relu_(out, layer.activation.slope); break;
      case Activation::Kind::kPrelu: throw BugError("PReLU on the fast backend");
    }
    return layer.field ? out.to(at::kFloat, false, false, at::MemoryFormat::Contiguous) : out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const std::vector<double> leaky = context->saved_data["leaky"].toDoubleVector();
    const std::vector<std::int64_t> upsample = context->saved_data["upsample"].toIntVector();
    const std::array<Reading, 2> readings = {Reading{leaky[0], upsample[0] != 0}, Reading{leaky[1], upsample[1] != 0}};
    const std::vector<std::int64_t> strides = context->saved_data["strides"].toIntVector();
    const std::int64_t padding = context->saved_data["padding"].toInt();
    const std::array<std::int64_t, 3> paddings = {padding, padding, padding};
    const at::Tensor& weight = saved[2];
    const std::array<std::int64_t, 1> bias_sizes = {weight.size(0)};
    const bool to_first = context->needs_input_grad(0);
    const bool to_second = saved[1].defined() && context->needs_input_grad(1);
    const auto [to_input, to_weight, to_bias] =
        at::convolution_backward(in_layout(outer.front()), joined(saved[0], saved[1], readings), in_layout(weight),
                                 at::OptionalIntArrayRef(bias_sizes), strides, paddings, kOnes, false, kZeros, 1,
                                 {to_first || to_second, true, context->saved_data["bias"].toBool()});
    const std::int64_t channels = saved[0].size(1);
    at::Tensor first;
    at::Tensor second;
    if (to_first) {
      first = given_back(saved[1].defined() ? to_input.narrow(1, 0, channels) : to_input, saved[0], readings[0]);
    }
    if (to_second) {
      second = given_back(to_input.narrow(1, channels, saved[1].size(1)), saved[1], readings[1]);
    }
    return {first,
            second,
            to_weight.to(at::kFloat, false, false, at::MemoryFormat::Contiguous),
            to_bias.defined() ? to_bias.to(at::kFloat) : at::Tensor(),
            at::Tensor(),
            at::Tensor()};
  }

 private:
  static at::Tensor read(const at::Tensor& input, const Reading& reading) {
    return reading.upsample ? at::upsample_nearest3d(input, doubled(input)) : input;
  }

  static at::Tensor joined(const at::Tensor& first, const at::Tensor& second, const std::array<Reading, 2>& readings) {
    const at::Tensor one = read(first, readings[0]);
    return second.defined() ? in_layout(at::cat({one, read(second, readings[1])}, 1)) : one;
  }

  /// The gradient of an input as it lies in memory, before its LeakyReLU.
  static at::Tensor given_back(at::Tensor gradient, const at::Tensor& input, const Reading& reading) {
    if (reading.upsample) {
      gradient = at::upsample_nearest3d_backward(gradient, doubled(input), input.sizes());
    }
    return reading.leaky == 1.0 ? gradient : at::leaky_relu_backward(gradient, input, reading.leaky, true);
  }
};

class LeakyDerivative : public torch::autograd::Function<LeakyDerivative> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& result, double slope) {
    context->save_for_backward({result});
    context->saved_data["slope"] = slope;
    return result.view_as(result);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    return {at::leaky_relu_backward(outer.front(), context->get_saved_variables().front(),
                                    context->saved_data["slope"].toDouble(), true),
            at::Tensor()};
  }
};

Feature without_slope(const Feature& input) {
  return input.slope.defined() ? Feature(input.value()) : input;
}

}  // namespace

at::Tensor with_leaky_derivative(const at::Tensor& result, double slope) {
  return LeakyDerivative::apply(result, slope);
}

Feature convolve(const std::vector<Feature>& inputs, const ConvLayer& layer) {
  std::vector<Feature> parts;
  for (const Feature& input : inputs) {
    parts.push_back(without_slope(input));
  }
  while (parts.size() > 2) {  // the last ones as one
    const at::Tensor tail = at::cat({parts[parts.size() - 2].value(), parts.back().value()}, 1);
    parts.pop_back();
    parts.back() = Feature(tail);
  }
  for (Feature& part : parts) {
    part.raw = in_layout(part.raw);
  }
  const std::array<Reading, 2> readings = {Reading{parts[0].leaky, parts[0].upsample},
                                           parts.size() == 2 ? Reading{parts[1].leaky, parts[1].upsample} : Reading{}};
  const std::optional<at::Tensor> second = parts.size() == 2 ? std::optional(parts[1].raw) : std::nullopt;
  const std::optional<at::Tensor> bias = layer.bias.defined() ? std::optional(layer.bias) : std::nullopt;
  Feature out = Conv::apply(parts[0].raw, second, layer.weight, bias, layer, readings);
  count_convolution(layer.weight, out.raw);
  out.deferred = !layer.field;
  const bool leaky = layer.activation.kind == Activation::Kind::kLeaky;
  out.leaky = leaky ? layer.activation.slope : layer.activation.kind == Activation::Kind::kRelu ? 0.0 : 1.0;
  return out;
}

}  // namespace regatta::fast
