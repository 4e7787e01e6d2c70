// The backward pass of one convolution.
#include <array>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "nn/fast/activation.hpp"
#include "nn/fast/conv_call.hpp"

namespace regatta::fast {
namespace {

using kernels::ConvPass;

float* data_of(const std::vector<at::Tensor>& tensors, std::size_t index) {
  return index < tensors.size() ? tensors[index].mutable_data_ptr<float>() : nullptr;
}

std::vector<at::Tensor> empty_as(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& tensor : tensors) {
    all.push_back(at::empty(tensor.sizes(), tensor.options()));
  }
  return all;
}

class Backward {
 public:
  Backward(const ConvCall& call, const at::Tensor& upstream) : call_(call), shape_(call.shape()), upstream_(upstream) {}

  ConvGradients run(const ConvWanted& wanted) {
    const bool our_weights = call_.has_form(ConvPass::kWeightGradient);
    const bool our_first = wanted.first && call_.has_form(ConvPass::kFirstGradient);
    const bool our_second = wanted.second && call_.has_form(ConvPass::kSecondGradient);
    if (our_weights || our_first || our_second) {
      prepare();
    }
    if (our_weights) {
      weight_gradient();
    }
    if (our_first) {
      result_.first = input_gradient(ConvPass::kFirstGradient, call_.first);
    }
    if (our_second) {
      result_.second = input_gradient(ConvPass::kSecondGradient, call_.second);
    }
    by_cudnn({wanted.first && !our_first, wanted.second && !our_second}, !our_weights);
    return std::move(result_);
  }

 private:
  /// The output's gradient as our kernels read it.
  void prepare() {
    gradient_ = call_.layer.field ? packed_field(upstream_) : in_layout(upstream_);
    if (const std::size_t bytes = kernels::child_sum_bytes(*shape_); bytes > 0) {
      sums_ = scratch_like(gradient_, bytes);
      if (const Chip chip = chip_of(gradient_); chip.launches) {
        kernels::child_sums(*shape_, bf16(gradient_), sums_.mutable_data_ptr(), chip.stream);
      }
    }
  }

  const void* sums() const { return sums_.defined() ? sums_.const_data_ptr() : nullptr; }

  void weight_gradient() {
    const Chip chip = chip_of(gradient_);
    result_.weights = empty_as(call_.layer.weights);
    result_.biases = empty_as(call_.layer.biases);
    kernels::ConvShape shape = *shape_;
    shape.out = call_.layer.real_out == 0 ? shape.out : static_cast<int>(call_.layer.real_out);
    const bool cut = shape.out < shape_->out && kernels::has_form(shape, ConvPass::kWeightGradient, chip.capability);
    if (cut) {
      result_.weights.front().zero_();  // of the channels that are none
    } else {
      shape.out = shape_->out;
    }
    const at::Tensor scratch = scratch_like(gradient_, kernels::weight_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::ConvWeightGradient arrays;
      arrays.gradient_channels = cut ? shape_->out : 0;
      arrays.first = bf16(call_.first.read());
      arrays.second = call_.second ? bf16(call_.second.read()) : nullptr;
      arrays.output_gradient = bf16(gradient_);
      arrays.child_sums = sums();
      arrays.scratch = scratch.mutable_data_ptr();
      arrays.weights = data_of(result_.weights, 0);
      arrays.inner = data_of(result_.weights, 1);
      arrays.centre = data_of(result_.weights, 2);
      arrays.bias = data_of(result_.biases, 0);
      arrays.inner_bias = data_of(result_.biases, 1);
      arrays.centre_bias = data_of(result_.biases, 2);
      kernels::conv_weight_gradient(shape, arrays, chip.capability, chip.stream);
    }
  }

  ReadingGradient input_gradient(ConvPass pass, const Reading& input) const {
    const Chip chip = chip_of(gradient_);
    const at::Tensor packed = call_.packed(*shape_, pass, chip);
    ReadingGradient result = {at::empty_like(input.raw, at::MemoryFormat::ChannelsLast3d), {}};
    at::Tensor scratch;
    if (input.slope.defined()) {
      result.slope = at::empty_like(input.slope);
      scratch = scratch_like(gradient_, kernels::slope_scratch_bytes(*shape_, pass, chip.capability));
    }
    if (chip.launches) {
      kernels::ConvInputGradient arrays;
      arrays.output_gradient = bf16(gradient_);
      arrays.child_sums = input.upsample ? sums() : nullptr;
      arrays.packed = packed.const_data_ptr();
      if (input.slope.defined()) {
        arrays.before_prelu = bf16(input.raw);
        arrays.prelu = floats(input.slope);
        arrays.slope_gradient = floats_(result.slope);
        arrays.scratch = scratch.mutable_data_ptr();
      } else {
        arrays.activation = input.leaky == 1.0 ? nullptr : bf16(input.raw);
        arrays.slope = static_cast<float>(input.leaky);
      }
      arrays.input_gradient = bf16_(result.raw);
      kernels::conv_input_gradient(*shape_, pass, arrays, chip.capability, chip.stream);
    }
    return result;
  }

  /// For cuDNN's data gradient, which reads none.
  at::Tensor input_without_values() const {
    if (!call_.second && !call_.first.upsample) {
      return call_.first.read();
    }
    const at::Tensor& raw = call_.first.raw;
    const std::int64_t scale = call_.first.upsample ? 2 : 1;
    return at::empty({raw.size(0), call_.layer.weights.front().size(1), scale * raw.size(2), scale * raw.size(3),
                      scale * raw.size(4)},
                     raw.options(), at::MemoryFormat::ChannelsLast3d);
  }

  void by_cudnn(const ConvWanted& wanted, bool weights) {
    if (!wanted.first && !wanted.second && !weights) {
      return;
    }
    constexpr std::array<std::int64_t, 3> kOnes = {1, 1, 1};
    constexpr std::array<std::int64_t, 3> kZeros = {0, 0, 0};
    const std::vector<at::Tensor>& kernels = call_.layer.weights;
    const std::array<std::int64_t, 1> bias_sizes = {kernels.front().size(0)};
    const at::Tensor upstream = in_layout(upstream_);
    const at::Tensor input = weights ? call_.joined() : input_without_values();
    auto [to_input, to_weight, no_bias] = at::convolution_backward(
        upstream, input, call_.rounded_weight(), at::OptionalIntArrayRef(bias_sizes), call_.layer.strides,
        call_.paddings(), kOnes, false, kZeros, 1, {wanted.first || wanted.second, weights, false});
    if (weights) {
      const at::Tensor all = to_weight.to(at::kFloat, false, false, at::MemoryFormat::Contiguous).contiguous();
      for (const at::Tensor& weight : kernels) {
        result_.weights.push_back(middle(all, weight.size(2)).contiguous());
      }
      if (!call_.layer.biases.empty()) {
        result_.biases = channel_sums(upstream, call_.layer.biases.size());
      }
    }
    const std::int64_t channels = call_.first.channels();
    if (wanted.first) {
      const at::Tensor first = call_.second ? to_input.narrow(1, 0, channels) : to_input;
      result_.first = given_back(first, call_.first, call_.layer.identity ? upstream : at::Tensor());
    }
    if (wanted.second) {
      result_.second = given_back(to_input.narrow(1, channels, call_.second.channels()), call_.second);
    }
  }

  const ConvCall& call_;
  std::optional<kernels::ConvShape> shape_;
  at::Tensor upstream_;
  at::Tensor gradient_;
  at::Tensor sums_;
  ConvGradients result_;
};

}  // namespace

ConvGradients conv_backward(const ConvCall& call, const at::Tensor& upstream, const ConvWanted& wanted) {
  const std::optional<ConvCall> wide = call.widened();
  if (!wide) {
    return Backward(call, upstream).run(wanted);
  }
  const at::Tensor packed = packed_field(upstream);  // [N, D, H, W, 4]
  const at::Tensor padded =
      at::constant_pad_nd(packed, {0, kWidenedChannels - packed.size(4)}).permute({0, 4, 1, 2, 3});
  ConvGradients found = Backward(*wide, padded).run(wanted);
  for (std::vector<at::Tensor>* parts : {&found.weights, &found.biases}) {
    for (at::Tensor& part : *parts) {
      part = part.narrow(0, 0, call.layer.weights.front().size(0)).contiguous();
    }
  }
  return found;
}

}  // namespace regatta::fast
