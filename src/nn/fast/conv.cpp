#include "nn/fast/conv.hpp"

#include <array>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/leaky_relu_backward.h>
#include <ATen/ops/upsample_nearest3d.h>
#include <ATen/ops/upsample_nearest3d_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/known_gradient.hpp"
#include "nn/layers/work.hpp"
#include "regatta/base/error.hpp"
#include "regatta/kernels/conv.hpp"
#include "regatta/kernels/pack.hpp"
#include "regatta/nn/chip.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta::fast {
namespace {

constexpr std::array<std::int64_t, 3> kOnes = {1, 1, 1};
constexpr std::array<std::int64_t, 3> kZeros = {0, 0, 0};
constexpr std::int64_t kKernel = 3;  ///< edge of the kernels that ours have

/// What a reader owes to one input.
struct Reading {
  double leaky = 1.0;
  bool upsample = false;
};

using Readings = std::array<Reading, 2>;

at::Tensor in_layout(const at::Tensor& tensor) {
  return tensor.to(at::kBFloat16, false, false, at::MemoryFormat::ChannelsLast3d)
      .contiguous(at::MemoryFormat::ChannelsLast3d);
}

const kernels::Bf16* bf16(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const kernels::Bf16*>(tensor.const_data_ptr()) : nullptr;
}

kernels::Bf16* bf16_(const at::Tensor& tensor) {
  return static_cast<kernels::Bf16*>(tensor.mutable_data_ptr());
}

std::vector<std::int64_t> doubled(const at::Tensor& volume) {
  return {2 * volume.size(2), 2 * volume.size(3), 2 * volume.size(4)};
}

/// The convolution as our kernels take it, or nothing: other kernels, paddings and strides are cuDNN's.
std::optional<kernels::ConvShape> kernel_shape(const at::Tensor& first, const at::Tensor& second,
                                               const at::Tensor& weight, const Readings& readings,
                                               const std::vector<std::int64_t>& strides, std::int64_t padding,
                                               bool field) {
  const bool cube = weight.size(2) == kKernel && padding == 1 && strides[0] == strides[1] && strides[1] == strides[2];
  if (!has_chip(first) || !cube || field != (weight.size(0) == 3) || readings[1].upsample) {
    return std::nullopt;
  }
  kernels::ConvShape shape;
  shape.size = volume_size(first);
  if (readings[0].upsample) {
    shape.size = {shape.size.n, 2 * shape.size.d, 2 * shape.size.h, 2 * shape.size.w};
  }
  shape.first = {static_cast<int>(first.size(1)), readings[0].upsample};
  if (second.defined()) {
    shape.second = {static_cast<int>(second.size(1)), false};
  }
  shape.out = static_cast<int>(weight.size(0));
  shape.stride = static_cast<int>(strides[0]);
  return shape;
}

at::Tensor packed_weights(const kernels::ConvShape& shape, kernels::ConvPass pass, const at::Tensor& weight,
                          const Chip& chip) {
  const at::Tensor packed = scratch_like(weight, kernels::packed_bytes(shape, pass, chip.capability));
  if (chip.launches) {
    const kernels::PackJob job = {shape, pass, weight.const_data_ptr<float>(), packed.mutable_data_ptr()};
    kernels::pack_weights({&job, 1}, chip.capability, chip.stream);
  }
  return packed;
}

/// The inputs as cuDNN takes them.
at::Tensor joined(const at::Tensor& first, const at::Tensor& second, const Readings& readings) {
  const auto read = [](const at::Tensor& input, const Reading& reading) {
    return reading.upsample ? at::upsample_nearest3d(input, doubled(input)) : input;
  };
  const at::Tensor one = read(first, readings[0]);
  return second.defined() ? in_layout(at::cat({one, read(second, readings[1])}, 1)) : one;
}

/// The backward pass of one convolution: each part by our kernel where there is one, the others by cuDNN together.
class Backward {
 public:
  struct Wanted {
    bool first = false;
    bool second = false;
    bool bias = false;
  };

  struct Result {
    at::Tensor first;
    at::Tensor second;
    at::Tensor weight;
    at::Tensor bias;
  };

  Backward(at::Tensor first, at::Tensor second, at::Tensor weight, const Readings& readings,
           const std::vector<std::int64_t>& strides, std::int64_t padding, bool field)
      : first_(std::move(first)),
        second_(std::move(second)),
        weight_(std::move(weight)),
        readings_(readings),
        strides_(strides),
        padding_(padding),
        field_(field),
        shape_(kernel_shape(first_, second_, weight_, readings, strides, padding, field)) {}

  Result run(const at::Tensor& upstream, const Wanted& wanted) {
    using kernels::ConvPass;
    Result result;
    const bool our_weights = has_form(ConvPass::kWeightGradient);
    const bool our_first = wanted.first && has_form(ConvPass::kFirstGradient);
    const bool our_second = wanted.second && has_form(ConvPass::kSecondGradient);
    if (our_weights || our_first || our_second) {
      prepare(upstream);
    }
    if (our_weights) {
      weight_gradient(wanted.bias, result);
    }
    if (our_first) {
      result.first = input_gradient(ConvPass::kFirstGradient, first_, readings_[0]);
    }
    if (our_second) {
      result.second = input_gradient(ConvPass::kSecondGradient, second_, readings_[1]);
    }
    by_cudnn(upstream, {wanted.first && !our_first, wanted.second && !our_second, wanted.bias && !our_weights},
             !our_weights, result);
    return result;
  }

 private:
  bool has_form(kernels::ConvPass pass) const {
    return shape_ && kernels::has_form(*shape_, pass, chip_of(first_).capability);
  }

  /// The output's gradient as our kernels read it.
  void prepare(const at::Tensor& upstream) {
    const Chip chip = chip_of(first_);
    if (field_) {
      const at::Tensor planar = upstream.to(at::kFloat).contiguous();
      const kernels::VolumeSize size = volume_size(planar);
      gradient_ = at::empty({size.n, size.d, size.h, size.w, 4}, first_.options());
      if (chip.launches) {
        kernels::pack_field(planar.const_data_ptr<float>(), size, bf16_(gradient_), chip.stream);
      }
    } else {
      gradient_ = in_layout(upstream);
    }
    if (const std::size_t bytes = kernels::child_sum_bytes(*shape_); bytes > 0) {
      sums_ = scratch_like(first_, bytes);
      if (chip.launches) {
        kernels::child_sums(*shape_, bf16(gradient_), sums_.mutable_data_ptr(), chip.stream);
      }
    }
  }

  const void* sums() const { return sums_.defined() ? sums_.const_data_ptr() : nullptr; }

  void weight_gradient(bool with_bias, Result& result) const {
    const Chip chip = chip_of(first_);
    result.weight = at::empty(weight_.sizes(), weight_.options());
    result.bias = with_bias ? at::empty({weight_.size(0)}, weight_.options()) : at::Tensor();
    const at::Tensor scratch = scratch_like(first_, kernels::weight_scratch_bytes(*shape_, chip.capability));
    if (chip.launches) {
      kernels::ConvWeightGradient arrays;
      arrays.first = bf16(first_);
      arrays.second = bf16(second_);
      arrays.output_gradient = bf16(gradient_);
      arrays.child_sums = sums();
      arrays.scratch = scratch.mutable_data_ptr();
      arrays.weights = result.weight.mutable_data_ptr<float>();
      arrays.bias = with_bias ? result.bias.mutable_data_ptr<float>() : nullptr;
      kernels::conv_weight_gradient(*shape_, arrays, chip.capability, chip.stream);
    }
  }

  at::Tensor input_gradient(kernels::ConvPass pass, const at::Tensor& input, const Reading& reading) const {
    const Chip chip = chip_of(first_);
    const at::Tensor packed = packed_weights(*shape_, pass, weight_, chip);
    const at::Tensor result = at::empty_like(input, at::MemoryFormat::ChannelsLast3d);
    if (chip.launches) {
      kernels::ConvInputGradient arrays;
      arrays.output_gradient = bf16(gradient_);
      arrays.child_sums = reading.upsample ? sums() : nullptr;
      arrays.packed = packed.const_data_ptr();
      arrays.activation = reading.leaky == 1.0 ? nullptr : bf16(input);
      arrays.slope = static_cast<float>(reading.leaky);
      arrays.input_gradient = bf16_(result);
      kernels::conv_input_gradient(*shape_, pass, arrays, chip.capability, chip.stream);
    }
    return result;
  }

  void by_cudnn(const at::Tensor& upstream, const Wanted& wanted, bool weights, Result& result) const {
    if (!wanted.first && !wanted.second && !weights) {
      return;
    }
    const std::array<std::int64_t, 3> paddings = {padding_, padding_, padding_};
    const std::array<std::int64_t, 1> bias_sizes = {weight_.size(0)};
    const auto [to_input, to_weight, to_bias] =
        at::convolution_backward(in_layout(upstream), joined(first_, second_, readings_), in_layout(weight_),
                                 at::OptionalIntArrayRef(bias_sizes), strides_, paddings, kOnes, false, kZeros, 1,
                                 {wanted.first || wanted.second, weights, wanted.bias});
    if (weights) {
      result.weight = to_weight.to(at::kFloat, false, false, at::MemoryFormat::Contiguous).contiguous();
      result.bias = to_bias.defined() ? to_bias.to(at::kFloat) : at::Tensor();
    }
    const std::int64_t channels = first_.size(1);
    if (wanted.first) {
      result.first = given_back(second_.defined() ? to_input.narrow(1, 0, channels) : to_input, first_, readings_[0]);
    }
    if (wanted.second) {
      result.second = given_back(to_input.narrow(1, channels, second_.size(1)), second_, readings_[1]);
    }
  }

  /// The gradient of an input as it lies in memory, before its LeakyReLU.
  static at::Tensor given_back(at::Tensor gradient, const at::Tensor& input, const Reading& reading) {
    if (reading.upsample) {
      gradient = at::upsample_nearest3d_backward(gradient, doubled(input), input.sizes());
    }
    return reading.leaky == 1.0 ? gradient : at::leaky_relu_backward(gradient, input, reading.leaky, true);
  }

  at::Tensor first_;
  at::Tensor second_;
  at::Tensor weight_;
  Readings readings_;
  std::vector<std::int64_t> strides_;
  std::int64_t padding_;
  bool field_;
  std::optional<kernels::ConvShape> shape_;
  at::Tensor gradient_;
  at::Tensor sums_;
};

/// Slope of the activation, 1 without one.
double slope_of(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::kNone: return 1.0;
    case Activation::Kind::kRelu: return 0.0;
    case Activation::Kind::kLeaky: return activation.slope;
    case Activation::Kind::kPrelu: break;
  }
  throw BugError("PReLU on the fast backend");
}

at::Tensor forward_by_kernel(const kernels::ConvShape& shape, const at::Tensor& first, const at::Tensor& second,
                             const ConvLayer& layer) {
  const Chip chip = chip_of(first);
  const at::Tensor packed = packed_weights(shape, kernels::ConvPass::kForward, layer.weight, chip);
  const kernels::VolumeSize size = shape.output_size();
  const at::Tensor out = at::empty({size.n, shape.out, size.d, size.h, size.w},
                                   first.options().dtype(layer.field ? at::kFloat : at::kBFloat16),
                                   layer.field ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast3d);
  if (chip.launches) {
    kernels::ConvForward arrays;
    arrays.first = bf16(first);
    arrays.second = bf16(second);
    arrays.packed = packed.const_data_ptr();
    arrays.bias = layer.bias.defined() ? layer.bias.const_data_ptr<float>() : nullptr;
    arrays.slope = static_cast<float>(slope_of(layer.activation));
    arrays.out = out.mutable_data_ptr();
    kernels::conv_forward(shape, arrays, chip.capability, chip.stream);
  }
  return out;
}

at::Tensor forward_by_cudnn(const at::Tensor& first, const at::Tensor& second, const ConvLayer& layer,
                            const Readings& readings) {
  const std::array<std::int64_t, 3> paddings = {layer.padding, layer.padding, layer.padding};
  const std::optional<at::Tensor> bias =
      layer.bias.defined() ? std::optional(layer.bias.to(at::kBFloat16)) : std::nullopt;
  at::Tensor out = at::convolution(joined(first, second, readings), in_layout(layer.weight), bias, layer.strides,
                                   paddings, kOnes, false, kZeros, 1);
  if (const double slope = slope_of(layer.activation); slope != 1.0) {
    at::leaky_relu_(out, slope);
  }
  return layer.field ? out.to(at::kFloat, false, false, at::MemoryFormat::Contiguous).contiguous() : out;
}

/// Convolution of up to two inputs.
class Conv : public torch::autograd::Function<Conv> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& first,
                            const std::optional<at::Tensor>& second, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, const ConvLayer& layer, const Readings& readings) {
    const at::Tensor other = second.value_or(at::Tensor());
    context->save_for_backward({first, other, weight});
    context->saved_data["strides"] = layer.strides;
    context->saved_data["padding"] = layer.padding;
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["field"] = layer.field;
    context->saved_data["leaky"] = std::vector<double>{readings[0].leaky, readings[1].leaky};
    context->saved_data["upsample"] = std::vector<std::int64_t>{readings[0].upsample, readings[1].upsample};
    const auto shape = kernel_shape(first, other, weight, readings, layer.strides, layer.padding, layer.field);
    const bool ours = shape && kernels::has_form(*shape, kernels::ConvPass::kForward, chip_of(first).capability);
    return ours ? forward_by_kernel(*shape, first, other, layer) : forward_by_cudnn(first, other, layer, readings);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const std::vector<double> leaky = context->saved_data["leaky"].toDoubleVector();
    const std::vector<std::int64_t> upsample = context->saved_data["upsample"].toIntVector();
    Backward backward(saved[0], saved[1], saved[2],
                      {Reading{leaky[0], upsample[0] != 0}, Reading{leaky[1], upsample[1] != 0}},
                      context->saved_data["strides"].toIntVector(), context->saved_data["padding"].toInt(),
                      context->saved_data["field"].toBool());
    const Backward::Result result =
        backward.run(outer.front(), {context->needs_input_grad(0), saved[1].defined() && context->needs_input_grad(1),
                                     context->saved_data["bias"].toBool()});
    return {result.first, result.second, result.weight, result.bias, at::Tensor(), at::Tensor()};
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

/// What a convolution is called, and whether our kernels do it: it is cuDNN's if the forward pass or a gradient is.
/// "convolution 64 up + 2 to 64"; ", gradients" where only they are cuDNN's.
PartForm part_of(const at::Tensor& first, const at::Tensor& second, const ConvLayer& layer, const Readings& readings) {
  using kernels::ConvPass;
  const auto shape = kernel_shape(first, second, layer.weight, readings, layer.strides, layer.padding, layer.field);
  const auto has = [&](ConvPass pass) { return shape && kernels::has_form(*shape, pass, chip_of(first).capability); };
  const auto has_if = [&](const at::Tensor& wanted, ConvPass pass) {
    return !wanted.defined() || !needs_gradient(wanted) || has(pass);
  };
  const bool forward = has(ConvPass::kForward);
  const bool gradients = has_if(layer.weight, ConvPass::kWeightGradient) && has_if(first, ConvPass::kFirstGradient) &&
                         has_if(second, ConvPass::kSecondGradient);
  const auto input = [](const at::Tensor& tensor, const Reading& reading) {
    return str(tensor.size(1), reading.upsample ? " up" : "");
  };
  const bool strided = layer.strides != std::vector<std::int64_t>(3, 1);
  std::string name =
      str("convolution ", layer.weight.size(2) == kKernel ? "" : join(layer.weight.sizes().slice(2), "x") + " ",
          input(first, readings[0]), second.defined() ? " + " + input(second, readings[1]) : "", " to ",
          layer.weight.size(0), strided ? str(", stride ", layer.strides.front()) : "",
          forward && !gradients ? ", gradients" : "");
  return {std::move(name), forward && gradients ? Form::kKernel : Form::kCudnn};
}

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
  const StepPart part([&] { return part_of(parts[0].raw, second.value_or(at::Tensor()), layer, readings); });
  Feature out = Conv::apply(parts[0].raw, second, layer.weight, bias, layer, readings);
  count_convolution(layer.weight, out.raw);
  out.deferred = !layer.field;
  out.leaky = slope_of(layer.activation);
  return out;
}

}  // namespace regatta::fast
