#include "nn/fast/tokens.hpp"

#include <optional>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/reading.hpp"
#include "regatta/kernels/gelu.hpp"
#include "regatta/kernels/layer_norm.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

using Optional = std::optional<at::Tensor>;

Optional optional(const at::Tensor& tensor) {
  return tensor.defined() ? Optional(tensor) : std::nullopt;
}

at::Tensor rounded(const at::Tensor& tensor) {
  return tensor.to(at::kBFloat16).contiguous();
}

/// Of bf16 matrices, in float32.
at::Tensor wide_product(const at::Tensor& a, const at::Tensor& b) {
  return a.is_meta() ? at::empty({a.size(0), b.size(1)}, a.options().dtype(at::kFloat)) : at::mm(a, b, at::kFloat);
}

class Product : public torch::autograd::Function<Product> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& weight) {
    const at::Tensor tokens = rounded(given);
    const at::Tensor factor = rounded(weight);
    context->save_for_backward({tokens, factor});
    std::vector<std::int64_t> sizes = tokens.sizes().vec();
    sizes.back() = factor.size(0);
    return at::mm(tokens.view({-1, factor.size(1)}), factor.t()).view(sizes);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& weight = saved[1];
    const at::Tensor upstream = rounded(outer.front()).view({-1, weight.size(0)});
    at::Tensor to_tokens;
    if (context->needs_input_grad(0)) {
      to_tokens = at::mm(upstream, weight).view(saved[0].sizes());
    }
    return {to_tokens, wide_product(upstream.t(), saved[0].view({-1, weight.size(1)}))};
  }
};

kernels::LayerNormShape norm_shape(const at::Tensor& tokens, bool merge) {
  return {{tokens.size(0), tokens.size(1), tokens.size(2), tokens.size(3)}, static_cast<int>(tokens.size(4)), merge};
}

/// What the backward passes of both norms share.
kernels::LayerNormBackward backward_arrays(const at::Tensor& sum, const at::Tensor& mean, const at::Tensor& inverse,
                                           const at::Tensor& weight, const at::Tensor& to_out) {
  kernels::LayerNormBackward arrays;
  arrays.sum = floats(sum);
  arrays.mean = floats(mean);
  arrays.inverse_deviation = floats(inverse);
  arrays.weight = floats(weight);
  if (to_out.scalar_type() == at::kBFloat16) {
    arrays.out_gradient = bf16(to_out);
  } else {
    arrays.wide_out_gradient = floats(to_out);
  }
  return arrays;
}

class AddNorm : public torch::autograd::Function<AddNorm> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const Optional& stream,
                                                const Optional& branch, const Optional& bias, const Optional& factors,
                                                const at::Tensor& weight, const at::Tensor& shift, bool wide) {
    context->set_materialize_grads(false);
    const at::Tensor& like = branch ? *branch : *stream;
    const kernels::LayerNormShape shape = norm_shape(like, false);
    const at::TensorOptions floats_of = like.options().dtype(at::kFloat);
    const at::Tensor sum = branch ? at::empty(like.sizes(), floats_of) : stream->view_as(*stream);
    const at::Tensor out = at::empty(like.sizes(), wide ? floats_of : like.options().dtype(at::kBFloat16));
    const at::Tensor mean = at::empty({shape.rows()}, floats_of);
    const at::Tensor inverse = at::empty_like(mean);
    if (const Chip chip = chip_of(like); chip.launches) {
      kernels::LayerNormForward arrays;
      arrays.stream = stream ? floats(*stream) : nullptr;
      if (branch) {
        arrays.branch = bf16(*branch);
        arrays.bias = bias ? floats(*bias) : nullptr;
        arrays.factors = factors ? floats(*factors) : nullptr;
        arrays.sum = floats_(sum);
      }
      arrays.weight = floats(weight);
      arrays.shift = floats(shift);
      arrays.wide_out = wide ? floats_(out) : nullptr;
      arrays.out = wide ? nullptr : bf16_(out);
      arrays.mean = floats_(mean);
      arrays.inverse_deviation = floats_(inverse);
      kernels::layer_norm_forward(shape, arrays, chip.capability, chip.stream);
    }
    context->save_for_backward({sum, mean, inverse, weight, factors.value_or(at::Tensor())});
    context->saved_data["stream"] = stream.has_value();
    context->saved_data["branch"] = branch.has_value();
    context->saved_data["bias"] = bias.has_value();
    context->saved_data["wide"] = wide;
    return {sum, out};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& sum = saved[0];
    const bool wide = context->saved_data["wide"].toBool();
    const at::ScalarType type = wide ? at::kFloat : at::kBFloat16;
    const at::Tensor to_out =
        outer[1].defined() ? outer[1].to(type).contiguous() : at::zeros_like(sum, sum.options().dtype(type));
    const at::Tensor of_sum = outer[0].defined() ? outer[0].to(at::kFloat).contiguous() : at::Tensor();
    const at::Tensor to_sum = at::empty_like(sum);
    const bool has_branch = context->saved_data["branch"].toBool();
    const at::Tensor to_branch = has_branch ? at::empty(sum.sizes(), sum.options().dtype(at::kBFloat16)) : at::Tensor();
    const at::Tensor to_weight = at::empty_like(saved[3]);
    const at::Tensor to_shift = at::empty_like(to_weight);
    const at::Tensor to_bias = context->saved_data["bias"].toBool() ? at::empty_like(to_weight) : at::Tensor();
    const kernels::LayerNormShape shape = norm_shape(sum, false);
    const Chip chip = chip_of(sum);
    const at::Tensor scratch = scratch_like(sum, kernels::layer_norm_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::LayerNormBackward arrays = backward_arrays(sum, saved[1], saved[2], saved[3], to_out);
      arrays.factors = floats(saved[4]);
      arrays.sum_gradient = floats(of_sum);
      arrays.to_sum = floats_(to_sum);
      arrays.to_branch = bf16_(to_branch);
      arrays.to_weight = floats_(to_weight);
      arrays.to_shift = floats_(to_shift);
      arrays.to_bias = floats_(to_bias);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::layer_norm_backward(shape, arrays, chip.capability, chip.stream);
    }
    const at::Tensor to_stream = context->saved_data["stream"].toBool() ? to_sum : at::Tensor();
    return {to_stream, to_branch, to_bias, at::Tensor(), to_weight, to_shift, at::Tensor()};
  }
};

class MergeNorm : public torch::autograd::Function<MergeNorm> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& weight, const at::Tensor& shift) {
    const at::Tensor tokens = given.contiguous();
    const kernels::LayerNormShape shape = norm_shape(tokens, true);
    const at::Tensor out =
        at::empty({tokens.size(0), tokens.size(1) / 2, tokens.size(2) / 2, tokens.size(3) / 2, shape.row_channels()},
                  tokens.options().dtype(at::kBFloat16));
    const at::Tensor mean = at::empty({shape.rows()}, tokens.options());
    const at::Tensor inverse = at::empty_like(mean);
    if (const Chip chip = chip_of(tokens); chip.launches) {
      kernels::LayerNormForward arrays;
      arrays.stream = floats(tokens);
      arrays.weight = floats(weight);
      arrays.shift = floats(shift);
      arrays.out = bf16_(out);
      arrays.mean = floats_(mean);
      arrays.inverse_deviation = floats_(inverse);
      kernels::layer_norm_forward(shape, arrays, chip.capability, chip.stream);
    }
    context->save_for_backward({tokens, mean, inverse, weight});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& tokens = saved[0];
    const at::Tensor to_out = rounded(outer.front());
    const at::Tensor to_tokens = at::empty_like(tokens);
    const at::Tensor to_weight = at::empty_like(saved[3]);
    const at::Tensor to_shift = at::empty_like(to_weight);
    const kernels::LayerNormShape shape = norm_shape(tokens, true);
    const Chip chip = chip_of(tokens);
    const at::Tensor scratch = scratch_like(tokens, kernels::layer_norm_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::LayerNormBackward arrays = backward_arrays(tokens, saved[1], saved[2], saved[3], to_out);
      arrays.to_sum = floats_(to_tokens);
      arrays.to_weight = floats_(to_weight);
      arrays.to_shift = floats_(to_shift);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::layer_norm_backward(shape, arrays, chip.capability, chip.stream);
    }
    return {to_tokens, to_weight, to_shift};
  }
};

kernels::GeluShape gelu_of(const at::Tensor& tokens) {
  const std::int64_t channels = tokens.size(tokens.dim() - 1);
  return {tokens.numel() / channels, static_cast<int>(channels)};
}

class Gelu : public torch::autograd::Function<Gelu> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, const Optional& bias) {
    const at::Tensor tokens = rounded(given);
    const at::Tensor out = at::empty_like(tokens);
    if (const Chip chip = chip_of(tokens); chip.launches) {
      kernels::gelu_forward(gelu_of(tokens), {bf16(tokens), bias ? floats(*bias) : nullptr, bf16_(out)},
                            chip.capability, chip.stream);
    }
    context->save_for_backward({tokens, bias.value_or(at::Tensor())});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& tokens = saved[0];
    const at::Tensor& bias = saved[1];
    const at::Tensor to_out = rounded(outer.front());
    const at::Tensor to_tokens = at::empty_like(tokens);
    const at::Tensor to_bias = bias.defined() ? at::empty_like(bias) : at::Tensor();
    const kernels::GeluShape shape = gelu_of(tokens);
    const Chip chip = chip_of(tokens);
    const at::Tensor scratch = scratch_like(tokens, kernels::gelu_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::gelu_backward(
          shape,
          {bf16(tokens), floats(bias), bf16(to_out), bf16_(to_tokens), floats_(to_bias), scratch.mutable_data_ptr()},
          chip.capability, chip.stream);
    }
    return {to_tokens, to_bias};
  }
};

}  // namespace

at::Tensor product(const at::Tensor& tokens, const at::Tensor& weight) {
  return Product::apply(tokens, weight);
}

bool has_layer_norm(const at::Tensor& tokens, bool merge) {
  return has_chip(tokens) && tokens.dim() == 5 && tokens.scalar_type() != at::kDouble &&
         kernels::has_form(norm_shape(tokens, merge), chip_of(tokens).capability);
}

std::pair<at::Tensor, at::Tensor> layer_norm(const NormInput& input, const at::Tensor& weight, const at::Tensor& shift,
                                             bool wide) {
  const auto contiguous = [](const at::Tensor& tensor, at::ScalarType type) {
    return tensor.defined() ? Optional(tensor.to(type).contiguous()) : std::nullopt;
  };
  const auto results = AddNorm::apply(contiguous(input.stream, at::kFloat), contiguous(input.branch, at::kBFloat16),
                                      optional(input.bias), optional(input.factors), weight, shift, wide);
  return {results[0], results[1]};
}

at::Tensor merged_layer_norm(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& shift) {
  return MergeNorm::apply(tokens, weight, shift);
}

bool has_gelu(const at::Tensor& tokens) {
  return tokens.scalar_type() == at::kBFloat16 && has_chip(tokens) &&
         kernels::has_form(gelu_of(tokens), chip_of(tokens).capability);
}

at::Tensor gelu(const at::Tensor& tokens, const at::Tensor& bias) {
  return Gelu::apply(tokens, optional(bias));
}

}  // namespace regatta::fast
