#include "nn/fast/conv_call.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros.h>

namespace regatta::fast {
namespace {

constexpr int kWidestJoined = 64;

const float* kernel_of(const std::vector<at::Tensor>& weights, std::size_t index) {
  return index < weights.size() ? weights[index].const_data_ptr<float>() : nullptr;
}

}  // namespace

std::optional<kernels::ConvShape> ConvCall::shape() const {
  const at::Tensor& weight = layer.weights.front();
  const std::vector<std::int64_t>& strides = layer.strides;
  const bool cube = (weight.size(2) == 3 || weight.size(2) == 5) && layer.padding == weight.size(2) / 2 &&
                    strides[0] == strides[1] && strides[1] == strides[2];
  const bool parallel = layer.weights.size() == 1 || weight.size(2) == 5;
  if (!has_chip(first.raw) || !cube || !parallel || layer.field != (weight.size(0) == 3) || second.upsample) {
    return std::nullopt;
  }
  kernels::ConvShape shape;
  shape.size = volume_size(first.raw);
  if (first.upsample) {
    shape.size = {shape.size.n, 2 * shape.size.d, 2 * shape.size.h, 2 * shape.size.w};
  }
  shape.first = {static_cast<int>(first.channels()), first.upsample, first.slope.defined()};
  if (second) {
    shape.second = {static_cast<int>(second.channels()), false, second.slope.defined()};
  }
  shape.out = static_cast<int>(weight.size(0));
  shape.stride = static_cast<int>(strides[0]);
  shape.edge = static_cast<int>(weight.size(2));
  shape.identity = layer.identity;
  shape.prelu = layer.slope.defined();
  return shape;
}

bool ConvCall::has_form(kernels::ConvPass pass) const {
  const auto known = shape();
  return known && kernels::has_form(*known, pass, chip_of(first.raw).capability);
}

std::optional<std::int64_t> joined_width(kernels::ConvShape shape, const kernels::Capability& chip) {
  const int channels = shape.in();
  shape.second = {};
  for (const int wide : {channels, kWidestJoined}) {
    shape.first = {wide, false, false};
    if (wide >= channels && 2 * channels > wide && kernels::has_form(shape, kernels::ConvPass::kForward, chip) &&
        kernels::has_form(shape, kernels::ConvPass::kFirstGradient, chip) &&
        kernels::has_form(shape, kernels::ConvPass::kWeightGradient, chip)) {
      return wide;
    }
  }
  return std::nullopt;
}

void widen_(ConvLayer& layer, std::int64_t channels) {
  at::Tensor& weight = layer.weights.front();
  if (weight.size(1) < channels) {
    weight = at::constant_pad_nd(weight, {0, 0, 0, 0, 0, 0, 0, channels - weight.size(1)});
  }
}

void widen_output_(ConvCall& call) {
  constexpr std::int64_t kFewestVoxels = 400000;  // of half resolution; below, cuDNN's times differ less
  ConvLayer& layer = call.layer;
  const std::int64_t out = layer.weights.front().size(0);
  const std::int64_t wide = out == 24 ? 32 : out == 48 ? 64 : out;
  const at::Tensor& input = call.first.raw;
  const bool fits = layer.may_widen && wide > out && layer.weights.size() == 1 && layer.biases.empty() &&
                    !call.second && has_chip(input) && volume_size(input).voxels() >= kFewestVoxels;
  if (fits && !call.has_form(kernels::ConvPass::kForward)) {
    layer.weights.front() = at::constant_pad_nd(layer.weights.front(), {0, 0, 0, 0, 0, 0, 0, 0, 0, wide - out});
    layer.real_out = out;
  }
}

std::optional<ConvCall> ConvCall::joined_by_kernel(const Feature& a, const Feature& b) const {
  const std::optional<kernels::ConvShape> apart = shape();
  if (!apart || !second || first.upsample || layer.weights.size() > 1 || has_form(kernels::ConvPass::kForward)) {
    return std::nullopt;
  }
  const std::optional<std::int64_t> wide = joined_width(*apart, chip_of(first.raw).capability);
  if (!wide) {
    return std::nullopt;
  }
  std::vector<at::Tensor> parts = {a.value(), b.value()};
  ConvCall call = *this;
  call.second = {};
  if (*wide > apart->in()) {
    std::vector<std::int64_t> sizes = parts[0].sizes().vec();
    sizes[1] = *wide - apart->in();
    parts.push_back(at::zeros(sizes, parts[0].options()).contiguous(at::MemoryFormat::ChannelsLast3d));
    widen_(call.layer, *wide);
  }
  call.first = reading_of(at::cat(parts, 1));
  return call;
}

std::optional<ConvCall> ConvCall::widened() const {
  const auto known = shape();
  if (!layer.field || !known || layer.weights.size() != 1 || has_form(kernels::ConvPass::kFirstGradient)) {
    return std::nullopt;
  }
  kernels::ConvShape wide = *known;
  wide.out = static_cast<int>(kWidenedChannels);
  const kernels::Capability chip = chip_of(first.raw).capability;
  if (!kernels::has_form(wide, kernels::ConvPass::kFirstGradient, chip) ||
      !kernels::has_form(wide, kernels::ConvPass::kWeightGradient, chip)) {
    return std::nullopt;
  }
  const std::int64_t more = kWidenedChannels - layer.weights.front().size(0);
  ConvCall call = *this;
  call.layer.field = false;
  call.rounded = at::Tensor();
  call.layer.weights = {at::constant_pad_nd(layer.weights.front(), {0, 0, 0, 0, 0, 0, 0, 0, 0, more})};
  for (at::Tensor& bias : call.layer.biases) {
    bias = at::constant_pad_nd(bias, {0, more});
  }
  return call;
}

at::Tensor ConvCall::packed(const kernels::ConvShape& shape, kernels::ConvPass pass, const Chip& chip) const {
  const at::Tensor packed = scratch_like(first.raw, kernels::packed_bytes(shape, pass, chip.capability));
  if (chip.launches) {
    const kernels::PackJob job = {.shape = shape,
                                  .pass = pass,
                                  .weights = kernel_of(layer.weights, 0),
                                  .packed = packed.mutable_data_ptr(),
                                  .inner = kernel_of(layer.weights, 1),
                                  .centre = kernel_of(layer.weights, 2)};
    kernels::pack_weights({&job, 1}, chip.capability, chip.stream);
  }
  return packed;
}

at::Tensor ConvCall::joined() const {
  return second ? in_layout(at::cat({whole(first), whole(second)}, 1)) : whole(first);
}

at::Tensor ConvCall::folded_weight() const {
  if (layer.weights.size() == 1) {
    return layer.weights.front();
  }
  const at::Tensor sum = layer.weights.front().clone();
  for (std::size_t i = 1; i < layer.weights.size(); ++i) {
    middle(sum, layer.weights[i].size(2)).add_(layer.weights[i]);
  }
  return sum;
}

at::Tensor ConvCall::rounded_weight() const {
  return rounded.defined() ? rounded : in_layout(folded_weight());
}

at::Tensor ConvCall::folded_bias() const {
  at::Tensor sum;
  for (const at::Tensor& bias : layer.biases) {
    sum = sum.defined() ? sum.add(bias) : bias;
  }
  return sum;
}

at::Tensor middle(at::Tensor weight, std::int64_t edge) {
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    weight = weight.narrow(axis, (weight.size(axis) - edge) / 2, edge);
  }
  return weight;
}

}  // namespace regatta::fast
