// The reference implementation: LibTorch's convolutions, and one autograd node where a PReLU is applied on reading.
#include "nn/layers/conv.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <ATen/Context.h>
#include <ATen/native/ConvUtils.h>
#include <ATen/ops/_prelu_kernel.h>
#include <ATen/ops/_prelu_kernel_backward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv_transpose3d.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/conv.hpp"
#include "nn/fast/conv_twice.hpp"
#include "nn/fast/join.hpp"
#include "nn/fast/softsign.hpp"
#include "nn/fast/up_conv.hpp"
#include "nn/layers/norm.hpp"
#include "nn/layers/resize.hpp"
#include "nn/layers/work.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

constexpr double kPreluStart = 0.25;
constexpr std::int64_t kFewestChannels = 8;  ///< below, a convolution of its own costs more than a concatenation
constexpr std::int64_t kUpEdge = 2;
constexpr std::int64_t kSmallestKernel = 3;    ///< below, LibTorch's plain convolution is as fast as oneDNN's
constexpr std::int64_t kFewestPositions = 65;  ///< of the output: likewise

using Optional = std::optional<at::Tensor>;

/// LibTorch's custom nodes take an absent tensor as an empty optional.
Optional optional(const at::Tensor& tensor) {
  return tensor.defined() ? Optional(tensor) : std::nullopt;
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& weight, const Optional& bias, at::IntArrayRef strides,
                    std::int64_t padding) {
  const std::array<std::int64_t, 3> paddings = {padding, padding, padding};
  const std::array<std::int64_t, 3> ones = {1, 1, 1};
  const std::array<std::int64_t, 3> zeros = {0, 0, 0};
  return at::convolution(input, weight, bias, strides, paddings, ones, false, zeros, 1);
}

/// Whether LibTorch would take its plain convolution for this input although oneDNN's is there. It does so for one
/// sample of a small volume, and takes 3 to 9 times as long as oneDNN (docs/performance.md).
bool takes_slow_path(const at::Tensor& input, const at::Tensor& weight, const std::vector<std::int64_t>& strides,
                     std::int64_t padding) {
  if (!input.is_cpu() || input.scalar_type() != at::kFloat || input.size(0) != 1 || !at::hasMKLDNN() ||
      weight.size(2) < kSmallestKernel) {
    return false;
  }
  std::int64_t positions = 1;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    positions *=
        (input.size(axis + 2) + 2 * padding - weight.size(axis + 2)) / strides[static_cast<std::size_t>(axis)] + 1;
  }
  if (positions < kFewestPositions) {
    return false;
  }
  const std::vector<c10::SymInt> steps(strides.begin(), strides.end());
  const std::vector<c10::SymInt> paddings(3, padding);
  const std::vector<c10::SymInt> ones(3, 1);
  const std::vector<c10::SymInt> zeros(3, 0);
  return at::native::select_conv_backend(input, weight, std::nullopt, steps, paddings, ones, false, zeros, 1,
                                         std::nullopt) == at::native::ConvBackend::Slow3d;
}

/// The same convolution of one sample as two of half its depth, each with the planes that its kernels reach: oneDNN
/// takes two samples of any size.
at::Tensor convolve_in_halves(const at::Tensor& input, const at::Tensor& weight, const Optional& bias,
                              const std::vector<std::int64_t>& strides, std::int64_t padding) {
  const std::int64_t kernel = weight.size(2);
  const std::int64_t depth = (input.size(2) + 2 * padding - kernel) / strides[0] + 1;
  const std::int64_t half = (depth + 1) / 2;
  const std::int64_t reach = strides[0] * (half - 1) + kernel;
  const std::int64_t second = strides[0] * half;
  const std::array<std::int64_t, 6> around = {0, 0, 0, 0, padding, second + reach - input.size(2) - padding};
  const at::Tensor padded = at::constant_pad_nd(input, around);
  const at::Tensor halves = at::cat({padded.narrow(2, 0, reach), padded.narrow(2, second, reach)}, 0);
  const std::array<std::int64_t, 3> paddings = {0, padding, padding};
  const std::array<std::int64_t, 3> ones = {1, 1, 1};
  const std::array<std::int64_t, 3> zeros = {0, 0, 0};
  const at::Tensor out = at::convolution(halves, weight, bias, strides, paddings, ones, false, zeros, 1);
  return at::cat({out.narrow(0, 0, 1), out.narrow(0, 1, 1).narrow(2, 0, depth - half)}, 2);
}

/// PReLU and convolution in one node that keeps the value before the PReLU only.
class PreluConv : public torch::autograd::Function<PreluConv> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& raw, const at::Tensor& slope,
                            const at::Tensor& weight, const Optional& bias, const std::vector<std::int64_t>& strides,
                            std::int64_t padding) {
    context->save_for_backward({raw, slope, weight});
    context->saved_data["strides"] = strides;
    context->saved_data["padding"] = padding;
    context->saved_data["bias"] = bias.has_value();
    return convolve(at::prelu(raw, slope), weight, bias, strides, padding);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& raw = saved[0];
    const at::Tensor slope = saved[1].view({1, 1, 1, 1, 1});
    const at::Tensor& weight = saved[2];
    const std::vector<std::int64_t> strides = context->saved_data["strides"].toIntVector();
    const std::int64_t padding = context->saved_data["padding"].toInt();
    const std::array<std::int64_t, 3> paddings = {padding, padding, padding};
    const std::array<std::int64_t, 3> ones = {1, 1, 1};
    const std::array<std::int64_t, 3> zeros = {0, 0, 0};
    const std::array<std::int64_t, 1> bias_sizes = {weight.size(0)};
    auto [to_input, to_weight, to_bias] = at::convolution_backward(
        outer.front(), at::_prelu_kernel(raw, slope), weight, at::OptionalIntArrayRef(bias_sizes), strides, paddings,
        ones, false, zeros, 1, {true, true, context->saved_data["bias"].toBool()});
    const auto [to_raw, to_slopes] = at::_prelu_kernel_backward(to_input, raw, slope);
    return {to_raw, to_slopes.sum().view({1}), to_weight, to_bias, at::Tensor(), at::Tensor()};
  }
};

class Softsign : public torch::autograd::Function<Softsign> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input) {
    context->save_for_backward({input});
    return input.div(input.abs().add_(1.0));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    return {outer.front().div(context->get_saved_variables().front().abs().add_(1.0).square_())};
  }
};

at::Tensor read_and_convolve(const Feature& input, const at::Tensor& weight, const at::Tensor& bias,
                             const std::vector<std::int64_t>& strides, std::int64_t padding) {
  at::Tensor out;
  if (takes_slow_path(input.raw, weight, strides, padding)) {
    out = convolve_in_halves(input.value(), weight, optional(bias), strides, padding);
  } else if (input.slope.defined()) {
    out = PreluConv::apply(input.raw, input.slope, weight, optional(bias), strides, padding);
  } else {
    out = convolve(input.raw, weight, optional(bias), strides, padding);
  }
  count_convolution(weight, out);
  return out;
}

/// Applied in place where that is possible: the backward pass needs the sign only, which the result keeps.
Feature activate(at::Tensor output, const Activation& activation, const at::Tensor& slope) {
  switch (activation.kind) {
    case Activation::Kind::kNone: return output;
    case Activation::Kind::kRelu: return at::relu_(output);
    case Activation::Kind::kLeaky: return at::leaky_relu_(output, activation.slope);
    case Activation::Kind::kPrelu: break;
  }
  return {output, slope};
}

/// "convolution 3x3x3"
PartForm part_of(const at::Tensor& weight) {
  return {str("convolution ", join(weight.sizes().slice(2), "x")), Form::kReference};
}

Init standard_init(std::int64_t fan_in) {
  return Init::uniform(1.0 / std::sqrt(static_cast<double>(fan_in)));
}

at::Tensor add_slope(Parameters& parameters, const Activation& activation, const std::string& name) {
  if (activation.kind != Activation::Kind::kPrelu) {
    return {};
  }
  REGATTA_REQUIRE(!name.empty(), BugError, "a PReLU without a name for its slope");
  return parameters.add(name, {1}, Init::constant(kPreluStart));
}

}  // namespace

at::Tensor softsign(const at::Tensor& input) {
  return Softsign::apply(input);
}

at::Tensor softsign(const at::Tensor& field, const std::array<double, 3>& factors, Backend backend) {
  if (backend == Backend::kFast && fast::has_softsign(field)) {
    return fast::softsign(field, factors);
  }
  return scale_components(softsign(field), factors);
}

at::Tensor Skip::value() const {
  return slope ? InstanceNorm(Activation::leaky(*slope))(raw) : raw;
}

at::Tensor Feature::value() const {
  if (slope.defined()) {
    return at::prelu(raw, slope.to(raw.scalar_type()));
  }
  const at::Tensor feature = leaky == 1.0 ? raw : fast::with_leaky_derivative(raw, leaky);
  return upsample ? upsample_nearest(feature) : feature;
}

Feature upsample_nearest(const Feature& input) {
  if (!input.deferred || input.upsample) {
    return upsample_nearest(input.value());
  }
  Feature output = input;
  output.upsample = true;
  return output;
}

Conv3d::Conv3d(Parameters& parameters, const std::string& name, const ConvShape& shape)
    : strides_(3, shape.stride),
      padding_(shape.padding.value_or(shape.kernel / 2)),
      activation_(shape.activation),
      context_(parameters.context()),
      field_(shape.field),
      may_widen_(shape.may_widen) {
  if (shape.strides) {
    strides_.assign(shape.strides->begin(), shape.strides->end());
  }
  const std::int64_t k = shape.kernel;
  const Init standard = standard_init(shape.in * k * k * k);
  weight_ = parameters.add(name + ".weight", {shape.out, shape.in, k, k, k}, shape.weight_init.value_or(standard));
  if (shape.bias) {
    bias_ = parameters.add(name + ".bias", {shape.out}, shape.bias_init.value_or(standard));
  }
  slope_ = add_slope(parameters, activation_, shape.slope_name);
}

Feature Conv3d::operator()(const std::vector<Feature>& inputs) const {
  REGATTA_REQUIRE(!inputs.empty(), BugError, "convolution without input");
  if (context_.backend == Backend::kFast) {
    return fast::convolve(inputs, fast_layer());
  }
  const StepPart part([this] { return part_of(weight_); });
  const bool apart = inputs.size() == 1 || std::all_of(inputs.begin(), inputs.end(), [](const Feature& input) {
                       return input.raw.size(1) >= kFewestChannels;
                     });
  if (!apart) {
    std::vector<at::Tensor> values;
    for (const Feature& input : inputs) {
      values.push_back(input.value());
    }
    return activate(read_and_convolve(at::cat(values, 1), weight_, bias_, strides_, padding_), activation_, slope_);
  }
  at::Tensor output;
  std::int64_t channel = 0;
  for (const Feature& input : inputs) {
    const std::int64_t channels = input.raw.size(1);
    const at::Tensor weight = inputs.size() == 1 ? weight_ : weight_.narrow(1, channel, channels);
    const at::Tensor share =
        read_and_convolve(input, weight, output.defined() ? at::Tensor() : bias_, strides_, padding_);
    output = output.defined() ? output.add_(share) : share;
    channel += channels;
  }
  REGATTA_REQUIRE(channel == weight_.size(1), BugError, "convolution of ", channel, " channels, expected ",
                  weight_.size(1));
  return activate(output, activation_, slope_);
}

Feature Conv3d::after(const Conv3d& pointwise, const std::vector<Feature>& inputs) const {
  return context_.backend == Backend::kFast ? fast::convolve_twice(inputs, pointwise.fast_layer(), fast_layer())
                                            : (*this)({pointwise(inputs)});
}

Feature Conv3d::of_upsampled(const at::Tensor& input, const Skip& skip) const {
  if (!skip.raw.defined()) {
    return (*this)({upsample_trilinear(input)});
  }
  const std::int64_t real = weight_.size(1) - skip.raw.size(1);  // channels; the input may have zeros after them
  if (context_.backend == Backend::kFast) {
    fast::ConvLayer layer = fast_layer();
    if (const auto joined = fast::joined_channels(input, skip, layer)) {
      fast::widen_first_(layer, real, input.size(1));
      return fast::convolve({fast::up_join(input, skip, *joined)}, layer);
    }
  }
  const at::Tensor features = input.size(1) == real ? input : input.narrow(1, 0, real);
  return (*this)({upsample_trilinear(features), skip.value()});
}

fast::ConvLayer Conv3d::fast_layer() const {
  fast::ConvLayer layer = {{weight_}, {}, strides_, padding_, activation_, slope_};
  if (bias_.defined()) {
    layer.biases.push_back(bias_);
  }
  layer.field = field_;
  layer.may_widen = may_widen_;
  return layer;
}

UpConv3d::UpConv3d(Parameters& parameters, const std::string& name, const ConvShape& shape)
    : activation_(shape.activation), backend_(parameters.context().backend) {
  const Init standard = standard_init(shape.out * kUpEdge * kUpEdge * kUpEdge);  // as PyTorch counts a transposed one
  weight_ = parameters.add(name + ".weight", {shape.in, shape.out, kUpEdge, kUpEdge, kUpEdge}, standard);
  bias_ = parameters.add(name + ".bias", {shape.out}, standard);
  slope_ = add_slope(parameters, activation_, shape.slope_name);
}

Feature UpConv3d::operator()(const Feature& input) const {
  if (backend_ == Backend::kFast) {
    return fast::up_convolve(input, {weight_, bias_, activation_, slope_});
  }
  const StepPart part(Form::kReference, "transposed convolution");
  const at::Tensor out = at::conv_transpose3d(input.value(), weight_, bias_, kUpEdge);
  count_transposed_convolution(weight_, input.raw, out);
  return activate(out, activation_, slope_);
}

LargeKernelConv::LargeKernelConv(Parameters& parameters, const std::string& name, std::int64_t channels,
                                 std::int64_t kernel, bool folded)
    : folded_(folded), backend_(parameters.context().backend) {
  const auto add = [&](const std::string& part, std::int64_t k) {
    const Init standard = standard_init(channels * k * k * k);
    weights_.push_back(parameters.add(str(name, ".", part, ".weight"), {channels, channels, k, k, k}, standard));
    biases_.push_back(parameters.add(str(name, ".", part, ".bias"), {channels}, standard));
  };
  if (folded) {
    add("folded", kernel);
  } else {
    add("layer_regularKernel.0", 3);
    add("layer_largeKernel.0", kernel);
    add("layer_oneKernel.0", 1);
  }
  slope_ = parameters.add(name + ".layer_nonlinearity.weight", {1}, Init::constant(kPreluStart));
}

/// The largest kernel first.
Feature LargeKernelConv::by_one_kernel(const Feature& input) const {
  fast::ConvLayer layer;
  layer.weights = folded_ ? weights_ : std::vector<at::Tensor>{weights_[1], weights_[0], weights_[2]};
  layer.biases = folded_ ? biases_ : std::vector<at::Tensor>{biases_[1], biases_[0], biases_[2]};
  layer.strides = {1, 1, 1};
  layer.padding = layer.weights.front().size(2) / 2;
  layer.activation = Activation::prelu();
  layer.slope = slope_;
  layer.identity = !folded_;
  return fast::convolve({input}, layer);
}

Feature LargeKernelConv::operator()(const Feature& input) const {
  if (backend_ == Backend::kFast) {
    return by_one_kernel(input);
  }
  at::Tensor sum = folded_ ? at::Tensor() : input.value();
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const StepPart part([&] { return part_of(weights_[i]); });
    const at::Tensor share = read_and_convolve(input, weights_[i], biases_[i], {1, 1, 1}, weights_[i].size(2) / 2);
    sum = sum.defined() ? share.add_(sum) : share;
  }
  return {sum, slope_};
}

at::Tensor fold_kernels(const std::vector<at::Tensor>& weights, std::int64_t kernel) {
  REGATTA_REQUIRE(!weights.empty(), BugError, "no kernels to fold");
  const std::int64_t channels = weights.front().size(0);
  const at::Tensor sum = at::zeros({channels, channels, kernel, kernel, kernel}, weights.front().options());
  for (const at::Tensor& weight : weights) {
    at::Tensor middle = sum;
    for (std::int64_t axis = 2; axis < 5; ++axis) {
      middle = middle.narrow(axis, (kernel - weight.size(axis)) / 2, weight.size(axis));
    }
    middle.add_(weight);
  }
  const std::int64_t centre = kernel / 2;
  sum.select(4, centre).select(3, centre).select(2, centre).diagonal().add_(1.0);  // the identity
  return sum;
}

}  // namespace regatta
