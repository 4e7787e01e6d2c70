// Shapes without data: what LibTorch's Meta device lacks outside Python. With these operators every network and loss
// runs forward and backward on tensors that have sizes and no memory, in milliseconds at any size, and its work and
// memory can be told before it runs anywhere.
#include "nn/device/meta_kernels.hpp"

#include <array>
#include <tuple>

#include <ATen/ExpandUtils.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

namespace regatta {
namespace {

using at::Tensor;
using Mask3 = std::array<bool, 3>;

Tensor like(const Tensor& tensor, at::IntArrayRef sizes) {
  const auto format = tensor.dim() == 5 && static_cast<std::int64_t>(sizes.size()) == 5 ? tensor.suggest_memory_format()
                                                                                        : at::MemoryFormat::Contiguous;
  return at::empty(sizes, tensor.options(), format);
}

Tensor like_if(bool wanted, const Tensor& tensor) {
  return wanted ? at::empty_like(tensor) : Tensor();
}

/// The layout in which cuDNN takes its tensors; those in another are copied for the length of the call.
at::MemoryFormat layout_of(const Tensor& input, const Tensor& weight) {
  const bool last = input.dim() == 5 && (input.suggest_memory_format() == at::MemoryFormat::ChannelsLast3d ||
                                         weight.suggest_memory_format() == at::MemoryFormat::ChannelsLast3d);
  return last ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::Contiguous;
}

/// cuDNN's kernels take channels by fours: a tensor with another number is copied into one with the next larger number
/// for the length of the call. (Seen as 0.9 GiB more than the tensors at VoxelMorph-2's convolution of 34 channels.)
Tensor padded_channels(const Tensor& tensor) {
  const std::int64_t channels = tensor.size(1);
  if (tensor.dim() != 5 || channels % 4 == 0) {
    return {};
  }
  std::vector<std::int64_t> sizes = tensor.sizes().vec();
  sizes[1] = (channels + 3) / 4 * 4;
  return like(tensor, sizes);
}

Tensor convolution(const Tensor& input, const Tensor& weight, const std::optional<Tensor>&, at::IntArrayRef stride,
                   at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                   std::int64_t groups) {
  std::vector<std::int64_t> sizes = {input.size(0), transposed ? weight.size(1) * groups : weight.size(0)};
  for (std::size_t axis = 0; axis < stride.size(); ++axis) {
    const std::int64_t in = input.size(static_cast<std::int64_t>(axis) + 2);
    const std::int64_t reach = dilation[axis] * (weight.size(static_cast<std::int64_t>(axis) + 2) - 1);
    sizes.push_back(transposed ? (in - 1) * stride[axis] - 2 * padding[axis] + reach + output_padding[axis] + 1
                               : (in + 2 * padding[axis] - reach - 1) / stride[axis] + 1);
  }
  const at::MemoryFormat layout = layout_of(input, weight);
  const Tensor input_copy = input.contiguous(layout);
  const Tensor weight_copy = weight.contiguous(layout);
  const Tensor padded = padded_channels(input_copy);
  return at::empty(sizes, input.options(), layout);
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(const Tensor& gradient, const Tensor& input,
                                                        const Tensor& weight, at::IntArrayRef, at::IntArrayRef,
                                                        at::IntArrayRef, bool, at::IntArrayRef, std::int64_t,
                                                        Mask3 mask) {
  const at::MemoryFormat layout = layout_of(input, weight);
  const Tensor input_copy = input.contiguous(layout);
  const Tensor weight_copy = weight.contiguous(layout);
  const Tensor gradient_copy = gradient.contiguous(layout);
  const Tensor padded = padded_channels(input_copy);
  const Tensor padded_result = mask[0] ? padded_channels(input_copy) : Tensor();
  return {like_if(mask[0], input_copy), like_if(mask[1], weight),
          mask[2] ? like(gradient, {gradient.size(1)}) : Tensor()};
}

Tensor prelu(const Tensor& input, const Tensor&) {
  return at::empty_like(input);
}

std::tuple<Tensor, Tensor> prelu_backward(const Tensor&, const Tensor& input, const Tensor&) {
  return {at::empty_like(input), at::empty_like(input)};
}

Tensor grid_sampler(const Tensor& input, const Tensor& grid, std::int64_t, std::int64_t, bool) {
  return like(input, {input.size(0), input.size(1), grid.size(1), grid.size(2), grid.size(3)});
}

std::tuple<Tensor, Tensor> grid_sampler_backward(const Tensor&, const Tensor& input, const Tensor& grid, std::int64_t,
                                                 std::int64_t, bool, std::array<bool, 2> mask) {
  return {like_if(mask[0], input), at::empty_like(grid)};
}

std::tuple<Tensor, Tensor> max_pool_meta(const Tensor& input, at::IntArrayRef kernel, at::IntArrayRef stride,
                                         at::IntArrayRef padding, at::IntArrayRef dilation, bool) {
  const auto at_axis = [](at::IntArrayRef list, std::size_t axis) { return list.size() == 1 ? list[0] : list[axis]; };
  std::vector<std::int64_t> sizes = {input.size(0), input.size(1)};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t step = stride.empty() ? at_axis(kernel, axis) : at_axis(stride, axis);
    const std::int64_t reach = at_axis(dilation, axis) * (at_axis(kernel, axis) - 1) + 1;
    sizes.push_back((input.size(static_cast<std::int64_t>(axis) + 2) + 2 * at_axis(padding, axis) - reach) / step + 1);
  }
  const Tensor out = like(input, sizes);
  return {out, at::empty(sizes, input.options().dtype(at::kLong))};
}

Tensor max_pool_backward(const Tensor&, const Tensor& input, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef,
                         at::IntArrayRef, bool, const Tensor&) {
  return at::empty_like(input);
}

std::tuple<Tensor, Tensor, Tensor> layer_norm(const Tensor& input, at::IntArrayRef shape, const std::optional<Tensor>&,
                                              const std::optional<Tensor>&, double) {
  std::vector<std::int64_t> statistics = input.sizes().vec();
  for (std::size_t axis = statistics.size() - shape.size(); axis < statistics.size(); ++axis) {
    statistics[axis] = 1;
  }
  const Tensor mean = at::empty(statistics, input.options());
  return {at::empty_like(input, at::MemoryFormat::Contiguous), mean, at::empty_like(mean)};
}

std::tuple<Tensor, Tensor, Tensor> layer_norm_backward(const Tensor&, const Tensor& input, at::IntArrayRef,
                                                       const Tensor&, const Tensor&,
                                                       const std::optional<Tensor>& weight,
                                                       const std::optional<Tensor>& bias, Mask3 mask) {
  return {like_if(mask[0], input), like_if(mask[1] && weight, weight.value_or(Tensor())),
          like_if(mask[2] && bias, bias.value_or(Tensor()))};
}

Tensor abs(const Tensor& input) {  // LibTorch's own makes an empty tensor and resizes it: its memory is never asked for
  return at::empty_like(input);
}

Tensor logical_not(const Tensor& input) {
  return at::empty_like(input, input.options().dtype(at::kBool));
}

Tensor& abs_out(const Tensor& input, Tensor& out) {
  out.resize_(input.sizes(), input.suggest_memory_format());
  return out;
}

Tensor mse_loss_backward(const Tensor&, const Tensor& input, const Tensor&, std::int64_t) {
  return at::empty_like(input);
}

Tensor where(const Tensor& condition, const Tensor& yes, const Tensor& no) {
  return at::empty(at::infer_size(condition.sizes(), at::infer_size(yes.sizes(), no.sizes())), yes.options());
}

Tensor& logical_and_out(const Tensor& a, const Tensor& b, Tensor& out) {
  out.resize_(at::infer_size(a.sizes(), b.sizes()));
  return out;
}

Tensor roll(const Tensor& input, at::IntArrayRef, at::IntArrayRef) {
  return at::empty_like(input);
}

Tensor index_select(const Tensor& input, std::int64_t axis, const Tensor& index) {
  std::vector<std::int64_t> sizes = input.sizes().vec();
  sizes[static_cast<std::size_t>(axis < 0 ? axis + input.dim() : axis)] = index.numel();
  return like(input, sizes);
}

Tensor embedding_backward(const Tensor& gradient, const Tensor&, std::int64_t rows, std::int64_t, bool) {
  return at::empty({rows, gradient.size(-1)}, gradient.options());
}

Tensor fft_c2c(const Tensor& input, at::IntArrayRef, std::int64_t, bool) {
  return at::empty_like(input);
}

void fused_adam(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList, double,
                double, double, double, double, bool, bool, const std::optional<Tensor>&,
                const std::optional<Tensor>&) {}

void check_and_unscale(at::TensorList, Tensor&, const Tensor&) {}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
  library.impl("_prelu_kernel", prelu);
  library.impl("_prelu_kernel_backward", prelu_backward);
  library.impl("grid_sampler_3d", grid_sampler);
  library.impl("grid_sampler_3d_backward", grid_sampler_backward);
  library.impl("max_pool3d_with_indices", max_pool_meta);
  library.impl("max_pool3d_with_indices_backward", max_pool_backward);
  library.impl("native_layer_norm", layer_norm);
  library.impl("native_layer_norm_backward", layer_norm_backward);
  library.impl("abs", abs);
  library.impl("abs.out", abs_out);
  library.impl("mse_loss_backward", mse_loss_backward);
  library.impl("logical_not", logical_not);
  library.impl("where.self", where);
  library.impl("logical_and.out", logical_and_out);
  library.impl("roll", roll);
  library.impl("index_select", index_select);
  library.impl("embedding_dense_backward", embedding_backward);
  library.impl("_fft_c2c", fft_c2c);
  library.impl("_fused_adam_", fused_adam);
  library.impl("_amp_foreach_non_finite_check_and_unscale_", check_and_unscale);
}

void use_meta_kernels() {}

}  // namespace regatta
