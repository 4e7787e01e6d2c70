#include "nn/fast/up_conv.hpp"

#include <array>
#include <optional>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv_transpose3d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/activation.hpp"
#include "nn/fast/reading.hpp"
#include "nn/layers/work.hpp"
#include "regatta/base/error.hpp"
#include "regatta/kernels/up_conv.hpp"
#include "regatta/nn/chip.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta::fast {
namespace {

constexpr std::int64_t kUpEdge = 2;
constexpr std::array<std::int64_t, 3> kStrides = {kUpEdge, kUpEdge, kUpEdge};
constexpr std::array<std::int64_t, 3> kOnes = {1, 1, 1};
constexpr std::array<std::int64_t, 3> kZeros = {0, 0, 0};

struct UpCall {
  Reading input;
  UpConvLayer layer;

  /// As our kernels take it, if they do.
  std::optional<kernels::UpConvShape> shape() const {
    if (!has_chip(input.raw) || input.upsample || layer.weight.size(0) != layer.weight.size(1)) {
      return std::nullopt;
    }
    const kernels::UpConvShape shape = {volume_size(input.raw), static_cast<int>(layer.weight.size(1)),
                                        layer.slope.defined(), input.slope.defined()};
    return kernels::has_form(shape, chip_of(input.raw).capability) ? std::optional(shape) : std::nullopt;
  }

  at::Tensor packed(const kernels::UpConvShape& shape, const Chip& chip) const {
    const at::Tensor packed = scratch_like(input.raw, kernels::packed_bytes(shape));
    if (chip.launches) {
      const kernels::UpConvPackJob job = {shape, floats(layer.weight), packed.mutable_data_ptr()};
      kernels::pack_up_conv({&job, 1}, chip.capability, chip.stream);
    }
    return packed;
  }
};

/// The output; of a PReLU in a training first what came before it.
torch::autograd::variable_list up_by_kernel(const UpCall& call, const kernels::UpConvShape& shape, bool training) {
  const Chip chip = chip_of(call.input.raw);
  const kernels::VolumeSize size = shape.output_size();
  const auto make = [&] {
    return at::empty({size.n, shape.channels, size.d, size.h, size.w}, call.input.raw.options(),
                     at::MemoryFormat::ChannelsLast3d);
  };
  const at::Tensor out = make();
  const at::Tensor before = shape.prelu && training ? make() : at::Tensor();
  const at::Tensor packed = call.packed(shape, chip);
  if (chip.launches) {
    kernels::UpConvForward arrays;
    arrays.in = bf16(call.input.read());
    arrays.packed = packed.const_data_ptr();
    arrays.bias = floats(call.layer.bias);
    arrays.slope = static_cast<float>(fixed_slope(call.layer.activation));
    arrays.prelu = floats(call.layer.slope);
    arrays.before_prelu = bf16_(before);
    arrays.out = bf16_(out);
    kernels::up_conv_forward(shape, arrays, chip.capability, chip.stream);
  }
  return before.defined() ? torch::autograd::variable_list{before, out} : torch::autograd::variable_list{out};
}

torch::autograd::variable_list up_by_cudnn(const UpCall& call, bool training) {
  const double leaky = fixed_slope(call.layer.activation);
  AfterProduct after = {{call.layer.bias}, {}, call.layer.slope, leaky};
  std::optional<at::Tensor> bias;
  if ((!after.slope.defined() && leaky == 1.0) || !has_chip(call.input.raw)) {  // a CPU adds it before it rounds
    bias = call.layer.bias.to(at::kBFloat16);
    after.biases.clear();
  }
  const at::Tensor out =
      in_layout(at::conv_transpose3d(call.input.read(), in_layout(call.layer.weight), bias, kUpEdge));
  return activated(out, after, training);
}

struct UpGradients {
  ReadingGradient input;
  at::Tensor weight;
  at::Tensor bias;
};

UpGradients up_gradients_by_kernel(const UpCall& call, const kernels::UpConvShape& shape, const at::Tensor& upstream,
                                   bool to_input) {
  const Chip chip = chip_of(upstream);
  UpGradients result;
  result.weight = at::empty(call.layer.weight.sizes(), call.layer.weight.options());
  result.bias = at::empty(call.layer.bias.sizes(), call.layer.bias.options());
  const at::Tensor scratch = scratch_like(upstream, kernels::weight_scratch_bytes(shape, chip.capability));
  if (chip.launches) {
    kernels::UpConvWeightGradient arrays;
    arrays.in = bf16(call.input.read());
    arrays.output_gradient = bf16(upstream);
    arrays.scratch = scratch.mutable_data_ptr();
    arrays.weights = floats_(result.weight);
    arrays.bias = floats_(result.bias);
    kernels::up_conv_weight_gradient(shape, arrays, chip.capability, chip.stream);
  }
  if (!to_input) {
    return result;
  }
  result.input.raw = at::empty_like(call.input.raw, at::MemoryFormat::ChannelsLast3d);
  at::Tensor slope_scratch;
  if (shape.input_prelu) {
    result.input.slope = at::empty_like(call.input.slope);
    slope_scratch = scratch_like(upstream, kernels::slope_scratch_bytes(shape, chip.capability));
  }
  const at::Tensor packed = call.packed(shape, chip);
  if (chip.launches) {
    kernels::UpConvInputGradient arrays;
    arrays.output_gradient = bf16(upstream);
    arrays.packed = packed.const_data_ptr();
    if (shape.input_prelu) {
      arrays.before_prelu = bf16(call.input.raw);
      arrays.prelu = floats(call.input.slope);
      arrays.slope_gradient = floats_(result.input.slope);
      arrays.scratch = slope_scratch.mutable_data_ptr();
    } else {
      arrays.activation = call.input.leaky == 1.0 ? nullptr : bf16(call.input.raw);
      arrays.slope = static_cast<float>(call.input.leaky);
    }
    arrays.input_gradient = bf16_(result.input.raw);
    kernels::up_conv_input_gradient(shape, arrays, chip.capability, chip.stream);
  }
  return result;
}

UpGradients up_gradients_by_cudnn(const UpCall& call, const at::Tensor& upstream, bool to_input) {
  const std::array<std::int64_t, 1> bias_sizes = {call.layer.weight.size(1)};
  const auto [to_read, to_weight, no_bias] = at::convolution_backward(
      upstream, whole(call.input), in_layout(call.layer.weight), at::OptionalIntArrayRef(bias_sizes), kStrides, kZeros,
      kOnes, /*transposed=*/true, kZeros, 1, {to_input, true, false});
  UpGradients result;
  result.weight = to_weight.to(at::kFloat, false, false, at::MemoryFormat::Contiguous).contiguous();
  result.bias = channel_sums(upstream, 1).front();
  if (to_input) {
    result.input = given_back(to_read, call.input);
  }
  return result;
}

class UpConv : public torch::autograd::Function<UpConv> {
 public:
  /// @param raw, slope, weight, bias  those of `call`
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& raw,
                                                const std::optional<at::Tensor>& slope, const at::Tensor& weight,
                                                const at::Tensor& bias, const UpCall& call, bool training) {
    context->save_for_backward({raw, slope.value_or(at::Tensor()), weight, bias, call.input.activated});
    context->saved_data["leaky"] = call.input.leaky;
    context->saved_data["upsample"] = call.input.upsample;
    const auto shape = call.shape();
    auto results = shape ? up_by_kernel(call, *shape, training) : up_by_cudnn(call, training);
    if (results.size() == 2) {
      context->mark_non_differentiable({results[1]});
      context->set_materialize_grads(false);  // of the output: a volume of zeros
    }
    return results;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const UpCall call = {{saved[0], saved[4], saved[1], context->saved_data["leaky"].toDouble(),
                          context->saved_data["upsample"].toBool()},
                         {saved[2], saved[3]}};
    const at::Tensor upstream = in_layout(outer.front());
    const bool to_input = context->needs_input_grad(0);
    const auto shape = call.shape();
    const UpGradients found = shape ? up_gradients_by_kernel(call, *shape, upstream, to_input)
                                    : up_gradients_by_cudnn(call, upstream, to_input);
    return {found.input.raw, found.input.slope, found.weight, found.bias, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

Feature up_convolve(const Feature& input, const UpConvLayer& layer) {
  const UpCall call = {reading_of(input), layer};
  const StepPart part([&] {
    return PartForm{str("transposed convolution ", layer.weight.size(0), " to ", layer.weight.size(1)),
                    call.shape() ? Form::kKernel : Form::kCudnn};
  });
  const std::optional<at::Tensor> slope = call.input.slope.defined() ? std::optional(call.input.slope) : std::nullopt;
  const auto results = UpConv::apply(call.input.raw, slope, layer.weight, layer.bias, call, at::GradMode::is_enabled());
  count_transposed_convolution(layer.weight, call.input.raw, results.front());
  return left_to_readers(results, layer.activation, layer.slope);
}

}  // namespace regatta::fast
