#include "nn/fast/activation.hpp"

#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/ops/_prelu_kernel_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/leaky_relu_backward.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/sum.h>

#include "regatta/kernels/activation.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

kernels::ActivationShape activation_shape(const at::Tensor& features) {
  return {volume_size(features).all(), static_cast<int>(features.size(1))};
}

/// Of a tensor whose voxels follow one another, each with its channels: the channels of a voxel in memory; otherwise 0.
std::int64_t channels_in_memory(const at::Tensor& features) {
  const std::int64_t channels = features.stride(4);
  const bool dense = features.stride(1) == 1 && channels >= features.size(1) && channels % 8 == 0 &&
                     features.stride(3) == channels * features.size(4) &&
                     features.stride(2) == features.stride(3) * features.size(3) &&
                     features.stride(0) == features.stride(2) * features.size(2);
  return dense ? channels : 0;
}

/// Dense NDHWC, or absent.
bool is_dense(const at::Tensor& features) {
  return !features.defined() || features.is_contiguous(at::MemoryFormat::ChannelsLast3d);
}

/// In float32, rounded once, as the kernel does it.
std::vector<at::Tensor> activated_by_torch(const at::Tensor& product, const AfterProduct& after, bool training) {
  const auto rounded = [&](const at::Tensor& values) { return values.to(product.scalar_type()); };
  at::Tensor sum = product.to(at::kFloat);
  for (const at::Tensor& bias : after.biases) {
    sum.add_(bias.view({1, -1, 1, 1, 1}));
  }
  if (after.added.defined()) {
    sum.add_(after.added);
  }
  if (after.slope.defined()) {
    const at::Tensor out = rounded(at::prelu(sum, after.slope));
    return training ? std::vector<at::Tensor>{rounded(sum), out} : std::vector<at::Tensor>{out};
  }
  if (after.leaky != 1.0) {
    at::leaky_relu_(sum, after.leaky);
  }
  return {rounded(sum)};
}

ReadingGradient gradient_by_torch(at::Tensor gradient, const at::Tensor& added, const Reading& input) {
  if (added.defined()) {
    gradient = gradient.add(added);
  }
  if (input.slope.defined()) {
    const auto [raw, share] =
        at::_prelu_kernel_backward(gradient, input.raw, input.slope.to(gradient.scalar_type()).view({1, 1, 1, 1, 1}));
    return {raw, share.sum(at::kFloat).view({1})};
  }
  if (input.leaky != 1.0) {
    return {at::leaky_relu_backward(gradient, input.raw, input.leaky, /*self_is_result=*/true), {}};
  }
  return {gradient, {}};
}

}  // namespace

bool has_activation(const at::Tensor& product) {
  return has_chip(product) && product.scalar_type() == at::kBFloat16 &&
         kernels::has_activation(activation_shape(product), chip_of(product).capability);
}

std::vector<at::Tensor> activated(const at::Tensor& product, const AfterProduct& after, bool training) {
  if (after.biases.empty() && !after.added.defined() && !after.slope.defined() && after.leaky == 1.0) {
    return {product};
  }
  if (!has_activation(product) || !is_dense(product) || !is_dense(after.added)) {
    return activated_by_torch(product, after, training);
  }
  const bool two = training && after.slope.defined();
  const at::Tensor out = two ? at::empty_like(product) : product;
  if (const Chip chip = chip_of(product); chip.launches) {
    kernels::ActivationForward arrays;
    arrays.product = bf16(product);
    for (std::size_t i = 0; i < after.biases.size(); ++i) {
      arrays.biases.at(i) = floats(after.biases[i]);
    }
    arrays.added = bf16(after.added);
    arrays.prelu = floats(after.slope);
    arrays.slope = static_cast<float>(after.leaky);
    arrays.before = two ? bf16_(product) : nullptr;
    arrays.out = bf16_(out);
    kernels::activate(activation_shape(product), arrays, chip.capability, chip.stream);
  }
  return two ? std::vector<at::Tensor>{product, out} : std::vector<at::Tensor>{out};
}

ReadingGradient activation_gradient(const at::Tensor& gradient, const at::Tensor& added, const Reading& input) {
  const std::int64_t channels = channels_in_memory(gradient);
  const bool active = input.slope.defined() || input.leaky != 1.0 || added.defined();
  if (!active || channels == 0 || !has_activation(gradient) || !has_activation(input.raw) || !is_dense(input.raw) ||
      !is_dense(added)) {
    return gradient_by_torch(gradient, added, input);
  }
  ReadingGradient result;
  result.raw = channels == gradient.size(1) ? gradient : at::empty_like(input.raw, at::MemoryFormat::ChannelsLast3d);
  const kernels::ActivationShape shape = activation_shape(gradient);
  const Chip chip = chip_of(gradient);
  at::Tensor scratch;
  if (input.slope.defined()) {
    result.slope = at::empty_like(input.slope);
    scratch = scratch_like(gradient, kernels::activation_scratch_bytes(shape, chip.capability));
  }
  if (chip.launches) {
    kernels::ActivationGradient arrays;
    arrays.gradient = bf16(gradient);
    arrays.gradient_channels = static_cast<int>(channels);
    arrays.added = bf16(added);
    arrays.before = bf16(input.raw);
    arrays.prelu = floats(input.slope);
    arrays.slope = static_cast<float>(input.leaky);
    arrays.before_gradient = bf16_(result.raw);
    arrays.slope_gradient = floats_(result.slope);
    arrays.scratch = scratch.defined() ? scratch.mutable_data_ptr() : nullptr;
    kernels::activation_gradient(shape, arrays, chip.capability, chip.stream);
  }
  return result;
}

std::vector<at::Tensor> channel_sums(const at::Tensor& values, std::size_t count) {
  std::vector<at::Tensor> sums;
  if (!has_activation(values) || !is_dense(values)) {
    constexpr std::array<std::int64_t, 4> kVoxels = {0, 2, 3, 4};
    const at::Tensor sum = values.sum(kVoxels, false, at::kFloat);
    sums.assign(count, sum);
    return sums;
  }
  const kernels::ActivationShape shape = activation_shape(values);
  const Chip chip = chip_of(values);
  const at::Tensor scratch = scratch_like(values, kernels::activation_scratch_bytes(shape, chip.capability));
  for (std::size_t i = 0; i < count; ++i) {
    sums.push_back(at::empty({values.size(1)}, values.options().dtype(at::kFloat).memory_format(std::nullopt)));
  }
  if (chip.launches) {
    std::array<float*, kernels::kMostBiases> to = {};
    for (std::size_t i = 0; i < count; ++i) {
      to.at(i) = floats_(sums[i]);
    }
    kernels::channel_sums(shape, bf16(values), to, scratch.mutable_data_ptr(), chip.capability, chip.stream);
  }
  return sums;
}

}  // namespace regatta::fast
