#include "nn/fast/attention.hpp"

#include <optional>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/reading.hpp"
#include "nn/known_gradient.hpp"
#include "regatta/kernels/window_attention.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

/// @param tokens    [N, D, H, W, ...]
/// @param channels  of all heads
kernels::WindowAttention shape_of(const at::Tensor& tokens, std::int64_t channels, const TokenWindows& windows) {
  kernels::WindowAttention shape;
  shape.size = {tokens.size(0), tokens.size(1), tokens.size(2), tokens.size(3)};
  shape.heads = static_cast<int>(windows.heads);
  shape.head_size = static_cast<int>(channels / windows.heads);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    shape.window[axis] = static_cast<int>(windows.window[axis]);
    shape.shift[axis] = static_cast<int>(windows.shift[axis]);
  }
  return shape;
}

std::vector<std::int64_t> listed(const TokenWindows& windows) {
  std::vector<std::int64_t> list(windows.window.begin(), windows.window.end());
  list.insert(list.end(), windows.shift.begin(), windows.shift.end());
  list.push_back(windows.heads);
  return list;
}

TokenWindows from_list(const std::vector<std::int64_t>& list) {
  return {{list[0], list[1], list[2]}, {list[3], list[4], list[5]}, list[6]};
}

class TokenAttention : public torch::autograd::Function<TokenAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const std::optional<at::Tensor>& given_table, const std::vector<std::int64_t>& windows,
                            bool training) {
    const at::Tensor qkv = given.to(at::kBFloat16).contiguous();
    const at::Tensor table = given_table.value_or(at::Tensor());
    const kernels::WindowAttention shape = shape_of(qkv, qkv.size(4) / 3, from_list(windows));
    const at::Tensor out =
        at::empty({qkv.size(0), qkv.size(1), qkv.size(2), qkv.size(3), qkv.size(4) / 3}, qkv.options());
    const at::Tensor kept = training ? scratch_like(qkv, kernels::window_attention_kept_bytes(shape)) : at::Tensor();
    if (const Chip chip = chip_of(qkv); chip.launches) {
      kernels::WindowAttentionForward arrays;
      arrays.qkv = bf16(qkv);
      arrays.table = floats(table);
      arrays.out = bf16_(out);
      arrays.kept = kept.defined() ? static_cast<float*>(kept.mutable_data_ptr()) : nullptr;
      kernels::window_attention_forward(shape, arrays, chip.capability, chip.stream);
    }
    if (training) {
      context->save_for_backward({qkv, table, out, kept});
      context->saved_data["windows"] = windows;
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& qkv = saved[0];
    const at::Tensor& table = saved[1];
    const kernels::WindowAttention shape =
        shape_of(qkv, qkv.size(4) / 3, from_list(context->saved_data["windows"].toIntVector()));
    const at::Tensor to_out = outer.front().to(at::kBFloat16).contiguous();
    const at::Tensor to_qkv = at::empty_like(qkv);
    const at::Tensor to_table = table.defined() ? at::empty_like(table) : at::Tensor();
    const Chip chip = chip_of(qkv);
    const at::Tensor scratch = scratch_like(qkv, kernels::window_attention_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::WindowAttentionBackward arrays;
      arrays.qkv = bf16(qkv);
      arrays.table = floats(table);
      arrays.out = bf16(saved[2]);
      arrays.kept = static_cast<const float*>(saved[3].const_data_ptr());
      arrays.to_out = bf16(to_out);
      arrays.scratch = scratch.mutable_data_ptr();
      arrays.to_qkv = bf16_(to_qkv);
      arrays.to_table = floats_(to_table);
      kernels::window_attention_backward(shape, arrays, chip.capability, chip.stream);
    }
    return {to_qkv, to_table, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool has_window_attention(const at::Tensor& tokens, const TokenWindows& windows) {
  return has_chip(tokens) && kernels::has_form(shape_of(tokens, tokens.size(4), windows), chip_of(tokens).capability);
}

at::Tensor window_attention(const at::Tensor& qkv, const at::Tensor& table, const TokenWindows& windows) {
  return TokenAttention::apply(qkv, table.defined() ? std::optional(table) : std::nullopt, listed(windows),
                               needs_gradient(qkv));
}

}  // namespace regatta::fast
