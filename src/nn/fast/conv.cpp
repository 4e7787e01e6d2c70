#include "nn/fast/conv.hpp"

#include <algorithm>
#include <array>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/leaky_relu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/activation.hpp"
#include "nn/fast/conv_call.hpp"
#include "nn/known_gradient.hpp"
#include "nn/layers/work.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta::fast {
namespace {

using kernels::ConvPass;

constexpr std::size_t kMostKernels = 3;  ///< parallel ones, that a layer folds

/// What gradients are given for, in the order of autograd's edges (which are those of the tensors that there are), then
/// what the backward pass reads besides.
enum Slot : std::size_t {
  kFirst,
  kSecond,
  kFirstSlope,
  kSecondSlope,
  kWeights,
  kBiases = kWeights + kMostKernels,
  kEdges = kBiases + kMostKernels,
  kFirstActivated = kEdges,
  kSecondActivated,
  kRounded,
  kSlots
};

using Slots = std::vector<at::Tensor>;

Slots slots_of(const ConvCall& call) {
  Slots slots(kSlots);
  slots[kFirst] = call.first.raw;
  slots[kSecond] = call.second.raw;
  slots[kFirstSlope] = call.first.slope;
  slots[kSecondSlope] = call.second.slope;
  std::copy(call.layer.weights.begin(), call.layer.weights.end(), slots.begin() + kWeights);
  std::copy(call.layer.biases.begin(), call.layer.biases.end(), slots.begin() + kBiases);
  slots[kFirstActivated] = call.first.activated;
  slots[kSecondActivated] = call.second.activated;
  slots[kRounded] = call.rounded;
  return slots;
}

/// Of the slots that are edges, those of tensors.
std::vector<std::size_t> edges_of(const Slots& slots) {
  std::vector<std::size_t> edges;
  for (std::size_t slot = 0; slot < kEdges; ++slot) {
    if (slots[slot].defined()) {
      edges.push_back(slot);
    }
  }
  return edges;
}

/// The results of a forward pass: of a PReLU in a training first what came before it.
struct Forward {
  at::Tensor out;
  at::Tensor before;
};

at::Tensor new_output(const ConvCall& call, const kernels::VolumeSize& size) {
  const bool field = call.layer.field;
  return at::empty({size.n, call.layer.weights.front().size(0), size.d, size.h, size.w},
                   call.first.raw.options().dtype(field ? at::kFloat : at::kBFloat16),
                   field ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast3d);
}

Forward forward_by_kernel(const ConvCall& call, bool training) {
  const kernels::ConvShape shape = *call.shape();
  const Chip chip = chip_of(call.first.raw);
  const ConvLayer& layer = call.layer;
  const at::Tensor packed = call.packed(shape, ConvPass::kForward, chip);
  Forward result = {new_output(call, shape.output_size()), {}};
  if (layer.slope.defined() && training) {
    result.before = new_output(call, shape.output_size());
  }
  if (chip.launches) {
    const auto bias = [&](std::size_t index) {
      return index < layer.biases.size() ? floats(layer.biases[index]) : nullptr;
    };
    kernels::ConvForward arrays;
    arrays.first = bf16(call.first.read());
    arrays.second = call.second ? bf16(call.second.read()) : nullptr;
    arrays.packed = packed.const_data_ptr();
    arrays.bias = bias(0);
    arrays.inner_bias = bias(1);
    arrays.centre_bias = bias(2);
    arrays.slope = static_cast<float>(fixed_slope(layer.activation));
    arrays.prelu = floats(layer.slope);
    arrays.before_prelu = bf16_(result.before);
    arrays.out = result.out.mutable_data_ptr();
    kernels::conv_forward(shape, arrays, chip.capability, chip.stream);
  }
  return result;
}

Forward forward_by_cudnn(const ConvCall& call, bool training) {
  constexpr std::array<std::int64_t, 3> kOnes = {1, 1, 1};
  constexpr std::array<std::int64_t, 3> kZeros = {0, 0, 0};
  const ConvLayer& layer = call.layer;
  AfterProduct after = {layer.biases, layer.identity ? call.first.read() : at::Tensor(), layer.slope,
                        fixed_slope(layer.activation)};
  const bool plain = layer.field || (!after.added.defined() && !after.slope.defined() && after.leaky == 1.0);
  std::optional<at::Tensor> bias;
  if (plain || !has_chip(call.first.raw)) {  // a CPU adds it before it rounds
    const at::Tensor sum = call.folded_bias();
    bias = sum.defined() ? std::optional(sum.to(at::kBFloat16)) : std::nullopt;
    after.biases.clear();
  }
  const at::Tensor out = at::convolution(call.joined(), call.rounded_weight(), bias, layer.strides, call.paddings(),
                                         kOnes, false, kZeros, 1);
  if (layer.field) {
    return {out.to(at::kFloat, false, false, at::MemoryFormat::Contiguous).contiguous(), {}};
  }
  if (plain) {
    return {out, {}};
  }
  const std::vector<at::Tensor> results = activated(out, after, training);
  return results.size() == 2 ? Forward{results[1], results[0]} : Forward{results[0], {}};
}

std::vector<at::Tensor> defined_of(const Slots& slots, std::size_t begin) {
  std::vector<at::Tensor> found;
  for (std::size_t i = begin; i < begin + kMostKernels && slots[i].defined(); ++i) {
    found.push_back(slots[i]);
  }
  return found;
}

/// Convolution of up to two inputs.
class Conv : public torch::autograd::Function<Conv> {
 public:
  /// @param edges  the tensors of `edges_of` the call
  /// @return the output; of a PReLU in a training {what came before it, the output without a gradient}
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, at::TensorList /*edges*/,
                                                const ConvCall& given, bool training) {
    ConvCall call = given;
    const bool ours = call.has_form(ConvPass::kForward);
    call.rounded = ours ? at::Tensor() : call.rounded_weight();  // the backward pass takes it too
    context->save_for_backward(slots_of(call));
    context->saved_data["strides"] = call.layer.strides;
    context->saved_data["padding"] = call.layer.padding;
    context->saved_data["identity"] = call.layer.identity;
    context->saved_data["field"] = call.layer.field;
    context->saved_data["real_out"] = call.layer.real_out;
    context->saved_data["leaky"] = std::vector<double>{call.first.leaky, call.second.leaky};
    context->saved_data["upsample"] = std::vector<std::int64_t>{call.first.upsample, call.second.upsample};
    const Forward result = ours ? forward_by_kernel(call, training) : forward_by_cudnn(call, training);
    if (!call.layer.slope.defined() || !training) {
      return {result.out};
    }
    context->mark_non_differentiable({result.out});
    context->set_materialize_grads(false);  // of the output: a volume of zeros
    return {result.before, result.out};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto slots = context->get_saved_variables();
    const std::vector<double> leaky = context->saved_data["leaky"].toDoubleVector();
    const std::vector<std::int64_t> upsample = context->saved_data["upsample"].toIntVector();
    ConvCall call;
    call.first = {slots[kFirst], slots[kFirstActivated], slots[kFirstSlope], leaky[0], upsample[0] != 0};
    call.second = {slots[kSecond], slots[kSecondActivated], slots[kSecondSlope], leaky[1], upsample[1] != 0};
    call.layer.weights = defined_of(slots, kWeights);
    call.layer.biases = defined_of(slots, kBiases);
    call.rounded = slots[kRounded];
    call.layer.strides = context->saved_data["strides"].toIntVector();
    call.layer.padding = context->saved_data["padding"].toInt();
    call.layer.identity = context->saved_data["identity"].toBool();
    call.layer.field = context->saved_data["field"].toBool();
    call.layer.real_out = context->saved_data["real_out"].toInt();
    const bool has_second = static_cast<bool>(call.second);  // its edge is the one after the first's
    const ConvGradients found =
        conv_backward(call, outer.front(), {context->needs_input_grad(0), has_second && context->needs_input_grad(1)});
    Slots by_slot(kEdges);
    by_slot[kFirst] = found.first.raw;
    by_slot[kSecond] = found.second.raw;
    by_slot[kFirstSlope] = found.first.slope;
    by_slot[kSecondSlope] = found.second.slope;
    std::copy(found.weights.begin(), found.weights.end(), by_slot.begin() + kWeights);
    std::copy(found.biases.begin(), found.biases.end(), by_slot.begin() + kBiases);
    torch::autograd::variable_list gradients;
    for (const std::size_t slot : edges_of(slots)) {
      gradients.push_back(by_slot[slot]);
    }
    gradients.resize(gradients.size() + 2);  // none for the call and for whether this is a training
    return gradients;
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
PartForm part_of(const ConvCall& call) {
  const std::optional<ConvCall> wide = call.widened();
  const auto has_if = [&](const at::Tensor& wanted, ConvPass pass) {
    return !wanted.defined() || !needs_gradient(wanted) || (wide ? *wide : call).has_form(pass);
  };
  const at::Tensor& weight = call.layer.weights.front();
  const bool forward = call.has_form(ConvPass::kForward);
  const bool gradients = has_if(weight, ConvPass::kWeightGradient) &&
                         has_if(call.first.raw, ConvPass::kFirstGradient) &&
                         has_if(call.second.raw, ConvPass::kSecondGradient);
  const auto input = [](const Reading& reading) { return str(reading.channels(), reading.upsample ? " up" : ""); };
  const bool strided = call.layer.strides != std::vector<std::int64_t>(3, 1);
  std::string name =
      str("convolution ", weight.size(2) == 3 ? "" : join(weight.sizes().slice(2), "x") + " ", input(call.first),
          call.second ? " + " + input(call.second) : "", " to ", weight.size(0),
          strided ? str(", stride ", call.layer.strides.front()) : "", forward && !gradients ? ", gradients" : "");
  return {std::move(name), forward && gradients ? Form::kKernel : Form::kCudnn};
}

/// At most two: the last ones as one.
std::vector<Feature> in_two(std::vector<Feature> inputs) {
  while (inputs.size() > 2) {
    const at::Tensor tail = at::cat({inputs[inputs.size() - 2].value(), inputs.back().value()}, 1);
    inputs.pop_back();
    inputs.back() = Feature(tail);
  }
  return inputs;
}

}  // namespace

at::Tensor with_leaky_derivative(const at::Tensor& result, double slope) {
  return LeakyDerivative::apply(result, slope);
}

Feature convolve(const std::vector<Feature>& inputs, const ConvLayer& layer) {
  REGATTA_REQUIRE(layer.weights.size() <= kMostKernels, BugError, layer.weights.size(), " parallel kernels");
  const std::vector<Feature> read = in_two(inputs);
  ConvCall call = {reading_of(read[0]), read.size() == 2 ? reading_of(read[1]) : Reading{}, layer};
  if (call.second) {
    call = call.joined_by_kernel(read[0], read[1]).value_or(call);
  } else {
    widen_(call.layer, call.first.channels());
    widen_output_(call);
  }
  const StepPart part([&] { return part_of(call); });
  const Slots slots = slots_of(call);
  std::vector<at::Tensor> edges;
  for (const std::size_t slot : edges_of(slots)) {
    edges.push_back(slots[slot]);
  }
  const auto results = Conv::apply(at::TensorList(edges), call, at::GradMode::is_enabled());
  count_convolution(layer.weights.front(), results.front());
  Feature out = left_to_readers(results, layer.activation, layer.slope);
  out.deferred = !layer.field;
  return out;
}

}  // namespace regatta::fast
