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

std::optional<ConvCall> ConvCall::joined_by_kernel(const Feature& a, const Feature& b) const {
  std::optional<kernels::ConvShape> one = shape();
  if (!one || !second || first.upsample || layer.weights.size() > 1 || has_form(kernels::ConvPass::kForward)) {
    return std::nullopt;
  }
  const int channels = one->in();
  one->second = {};
  const kernels::Capability chip = chip_of(first.raw).capability;
  const auto all_forms = [&] {
    return kernels::has_form(*one, kernels::ConvPass::kForward, chip) &&
           kernels::has_form(*one, kernels::ConvPass::kFirstGradient, chip) &&
           kernels::has_form(*one, kernels::ConvPass::kWeightGradient, chip);
  };
  for (const int wide : {channels, kWidestJoined}) {
    one->first = {wide, false, false};
    if (wide < channels || 2 * channels <= wide || !all_forms()) {
      continue;
    }
    std::vector<at::Tensor> parts = {a.value(), b.value()};
    ConvCall call = *this;
    call.second = {};
    if (wide > channels) {
      std::vector<std::int64_t> sizes = parts[0].sizes().vec();
      sizes[1] = wide - channels;
      parts.push_back(at::zeros(sizes, parts[0].options()).contiguous(at::MemoryFormat::ChannelsLast3d));
      call.layer.weights.front() = at::constant_pad_nd(layer.weights.front(), {0, 0, 0, 0, 0, 0, 0, wide - channels});
    }
    call.first = reading_of(at::cat(parts, 1));
    return call;
  }
  return std::nullopt;
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
  call.layer.weights = {at::constant_pad_nd(layer.weights.front(), {0, 0, 0, 0, 0, 0, 0, 0, 0, more})};
  for (at::Tensor& bias : call.layer.biases) {
    bias = at::constant_pad_nd(bias, {0, more});
  }
  return call;
}

std::optional<kernels::ConvShape> ConvCall::undone_stride() const {
  constexpr int kMostChannels = 16;  // of more cuDNN is as fast
  std::optional<kernels::ConvShape> known = shape();
  if (!known || known->stride != 2 || known->out > kMostChannels || second || first.upsample) {
    return std::nullopt;
  }
  const kernels::Capability chip = chip_of(first.raw).capability;
  if (kernels::has_form(*known, kernels::ConvPass::kFirstGradient, chip)) {
    return std::nullopt;
  }
  known->stride = 1;
  return kernels::has_form(*known, kernels::ConvPass::kFirstGradient, chip) ? known : std::nullopt;
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
