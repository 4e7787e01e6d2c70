#include "nn/fast/norm.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/reading.hpp"
#include "regatta/kernels/instance_norm.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

kernels::InstanceNormShape norm_of(const at::Tensor& features, double slope, bool affine = false) {
  return {volume_size(features), static_cast<int>(features.size(1)), static_cast<float>(slope), 0, affine};
}

at::Tensor scratch_of(const at::Tensor& features, const kernels::InstanceNormShape& shape) {
  return scratch_like(features, kernels::instance_norm_scratch_bytes(shape, chip_of(features).capability));
}

class NormLeaky : public torch::autograd::Function<NormLeaky> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, double slope) {
    const at::Tensor features = in_layout(given);
    const kernels::InstanceNormShape shape = norm_of(features, slope);
    const at::Tensor out = at::empty_like(features);
    const at::TensorOptions floats_of = features.options().dtype(at::kFloat);
    const at::Tensor mean = at::empty({features.size(0), features.size(1)}, floats_of);
    const at::Tensor inverse_deviation = at::empty_like(mean);
    const at::Tensor scratch = scratch_of(features, shape);
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::InstanceNormForward arrays;
      arrays.in = bf16(features);
      arrays.out = bf16_(out);
      arrays.mean = floats_(mean);
      arrays.inverse_deviation = floats_(inverse_deviation);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::instance_norm_forward(shape, arrays, chip.capability, chip.stream);
    }
    context->save_for_backward({out, inverse_deviation});
    context->saved_data["slope"] = slope;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& out = saved[0];
    const kernels::InstanceNormShape shape = norm_of(out, context->saved_data["slope"].toDouble());
    const at::Tensor to_out = in_layout(outer.front());
    const at::Tensor to_input = at::empty_like(out);
    const at::Tensor scratch = scratch_of(out, shape);
    if (const Chip chip = chip_of(out); chip.launches) {
      kernels::InstanceNormBackward arrays;
      arrays.out = bf16(out);
      arrays.output_gradient = bf16(to_out);
      arrays.inverse_deviation = floats(saved[1]);
      arrays.input_gradient = bf16_(to_input);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::instance_norm_backward(shape, arrays, chip.capability, chip.stream);
    }
    return {to_input, at::Tensor()};
  }
};

class AffineNormLeaky : public torch::autograd::Function<AffineNormLeaky> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& weight, const at::Tensor& bias, double slope) {
    const at::Tensor features = in_layout(given);
    const kernels::InstanceNormShape shape = norm_of(features, slope, true);
    const at::Tensor out = at::empty_like(features);
    const at::Tensor mean = at::empty({features.size(0), features.size(1)}, weight.options());
    const at::Tensor inverse_deviation = at::empty_like(mean);
    const at::Tensor scratch = scratch_of(features, shape);
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::InstanceNormForward arrays;
      arrays.in = bf16(features);
      arrays.out = bf16_(out);
      arrays.mean = floats_(mean);
      arrays.inverse_deviation = floats_(inverse_deviation);
      arrays.scratch = scratch.mutable_data_ptr();
      arrays.weight = floats(weight);
      arrays.bias = floats(bias);
      kernels::instance_norm_forward(shape, arrays, chip.capability, chip.stream);
    }
    context->save_for_backward({features, mean, inverse_deviation, weight, bias});
    context->saved_data["slope"] = slope;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& features = saved[0];
    const kernels::InstanceNormShape shape = norm_of(features, context->saved_data["slope"].toDouble(), true);
    const at::Tensor to_out = in_layout(outer.front());
    const at::Tensor to_input = at::empty_like(features);
    const at::Tensor to_weight = at::empty_like(saved[3]);
    const at::Tensor to_bias = at::empty_like(saved[4]);
    const at::Tensor scratch = scratch_of(features, shape);
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::InstanceNormBackward arrays;
      arrays.output_gradient = bf16(to_out);
      arrays.inverse_deviation = floats(saved[2]);
      arrays.input_gradient = bf16_(to_input);
      arrays.scratch = scratch.mutable_data_ptr();
      arrays.in = bf16(features);
      arrays.mean = floats(saved[1]);
      arrays.weight = floats(saved[3]);
      arrays.bias = floats(saved[4]);
      arrays.weight_gradient = floats_(to_weight);
      arrays.bias_gradient = floats_(to_bias);
      kernels::instance_norm_backward(shape, arrays, chip.capability, chip.stream);
    }
    return {to_input, to_weight, to_bias, at::Tensor()};
  }
};

}  // namespace

bool has_instance_norm(const at::Tensor& features, double slope, bool affine) {
  return features.scalar_type() == at::kBFloat16 && has_chip(features) &&
         kernels::has_form(norm_of(features, slope, affine), chip_of(features).capability);
}

at::Tensor instance_norm(const at::Tensor& features, const at::Tensor& weight, const at::Tensor& bias, double slope) {
  return AffineNormLeaky::apply(features, weight, bias, slope);
}

at::Tensor instance_norm(const at::Tensor& features, double slope) {
  return NormLeaky::apply(features, slope);
}

}  // namespace regatta::fast
