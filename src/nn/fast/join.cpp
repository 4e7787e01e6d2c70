#include "nn/fast/join.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/conv_call.hpp"
#include "nn/fast/norm.hpp"
#include "nn/fast/resample.hpp"
#include "regatta/kernels/instance_norm.hpp"
#include "regatta/kernels/upsample.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta::fast {
namespace {

constexpr int kVector = 8;  ///< channels that our kernels take together

/// Where both parts lie.
struct Parts {
  kernels::UpsampleShape up;
  kernels::InstanceNormShape norm;  ///< of the skip

  Parts(const at::Tensor& input, const at::Tensor& skip, std::int64_t channels, double slope) {
    up = {volume_size(input), static_cast<int>(input.size(1)), false, static_cast<int>(channels)};
    norm = {volume_size(skip), static_cast<int>(skip.size(1)), static_cast<float>(slope), static_cast<int>(channels)};
  }
};

class UpJoin : public torch::autograd::Function<UpJoin> {
 public:
  /// @param slope  0: the skip has no norm left
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const at::Tensor& given_skip, std::int64_t channels, double slope) {
    const at::Tensor input = in_layout(given);
    const at::Tensor skip = in_layout(given_skip);
    const std::int64_t first = input.size(1);
    const std::int64_t both = first + skip.size(1);
    const at::Tensor joined = at::empty({skip.size(0), channels, skip.size(2), skip.size(3), skip.size(4)},
                                        skip.options(), at::MemoryFormat::ChannelsLast3d);
    const Parts parts(input, skip, channels, slope);
    const Chip chip = chip_of(input);
    if (chip.launches) {
      kernels::upsample_forward(parts.up, {bf16(input), bf16_(joined)}, chip.capability, chip.stream);
    }
    if (both < channels) {
      joined.narrow(1, both, channels - both).zero_();
    }
    at::Tensor inverse;
    if (slope == 0.0) {
      joined.narrow(1, first, skip.size(1)).copy_(skip);
    } else {
      inverse = norm_forward(parts.norm, skip, joined, first);
      context->save_for_backward({joined, inverse});
    }
    context->saved_data["sizes"] = input.sizes().vec();
    context->saved_data["skip"] = skip.size(1);
    context->saved_data["slope"] = slope;
    return joined;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor to_joined = in_layout(outer.front());
    const std::vector<std::int64_t> sizes = context->saved_data["sizes"].toIntVector();
    const std::int64_t of_skip = context->saved_data["skip"].toInt();
    const double slope = context->saved_data["slope"].toDouble();
    const at::Tensor to_input = at::empty(sizes, to_joined.options(), at::MemoryFormat::ChannelsLast3d);
    const at::Tensor skip_of_joined = to_joined.narrow(1, sizes[1], of_skip);
    const Parts parts(to_input, skip_of_joined, to_joined.size(1), slope);
    if (const Chip chip = chip_of(to_joined); chip.launches) {
      kernels::upsample_backward(parts.up, {bf16(to_joined), bf16_(to_input)}, chip.capability, chip.stream);
    }
    at::Tensor to_skip = skip_of_joined;
    if (slope != 0.0) {
      const auto saved = context->get_saved_variables();
      to_skip = norm_backward(parts.norm, saved[0], saved[1], to_joined, sizes[1]);
    }
    return {to_input, to_skip, at::Tensor(), at::Tensor()};
  }

 private:
  static at::Tensor norm_forward(const kernels::InstanceNormShape& shape, const at::Tensor& skip,
                                 const at::Tensor& joined, std::int64_t first) {
    const Chip chip = chip_of(skip);
    const at::Tensor mean = at::empty({skip.size(0), skip.size(1)}, skip.options().dtype(at::kFloat));
    at::Tensor inverse = at::empty_like(mean);
    const at::Tensor scratch = scratch_like(skip, kernels::instance_norm_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::InstanceNormForward arrays;
      arrays.in = bf16(skip);
      arrays.out = bf16_(joined) + first;
      arrays.mean = floats_(mean);
      arrays.inverse_deviation = floats_(inverse);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::instance_norm_forward(shape, arrays, chip.capability, chip.stream);
    }
    return inverse;
  }

  static at::Tensor norm_backward(const kernels::InstanceNormShape& shape, const at::Tensor& joined,
                                  const at::Tensor& inverse, const at::Tensor& to_joined, std::int64_t first) {
    const Chip chip = chip_of(joined);
    at::Tensor to_skip = at::empty({joined.size(0), shape.channels, joined.size(2), joined.size(3), joined.size(4)},
                                   joined.options(), at::MemoryFormat::ChannelsLast3d);
    const at::Tensor scratch = scratch_like(joined, kernels::instance_norm_scratch_bytes(shape, chip.capability));
    if (chip.launches) {
      kernels::InstanceNormBackward arrays;
      arrays.out = bf16(joined) + first;
      arrays.output_gradient = bf16(to_joined) + first;
      arrays.inverse_deviation = floats(inverse);
      arrays.input_gradient = bf16_(to_skip);
      arrays.scratch = scratch.mutable_data_ptr();
      kernels::instance_norm_backward(shape, arrays, chip.capability, chip.stream);
    }
    return to_skip;
  }
};

}  // namespace

std::optional<std::int64_t> joined_channels(const at::Tensor& input, const Skip& skip, const ConvLayer& reader) {
  const at::Tensor& beside = skip.raw;
  bool fits = has_upsample(input) && beside.scalar_type() == at::kBFloat16 && reader.weights.size() == 1 &&
              beside.size(1) % kVector == 0 && (!skip.slope || has_instance_norm(beside, *skip.slope));
  for (std::int64_t axis = 2; fits && axis < 5; ++axis) {
    fits = beside.size(axis) == 2 * input.size(axis);
  }
  if (!fits) {
    return std::nullopt;
  }
  ConvCall call;
  call.first.raw = beside;
  call.layer = reader;
  std::optional<kernels::ConvShape> shape = call.shape();
  const std::int64_t both = input.size(1) + beside.size(1);
  if (!shape) {
    return both;
  }
  shape->first = {static_cast<int>(input.size(1)), false, false};
  shape->second = {static_cast<int>(beside.size(1)), false, false};
  const kernels::Capability chip = chip_of(input).capability;
  if (kernels::has_form(*shape, kernels::ConvPass::kForward, chip)) {
    return std::nullopt;
  }
  return joined_width(*shape, chip).value_or(both);
}

at::Tensor up_join(const at::Tensor& input, const Skip& skip, std::int64_t channels) {
  if (skip.slope) {
    const StepPart part(Form::kKernel, "instance norm");
  }
  const StepPart part(Form::kKernel, "trilinear up-sampling");
  return UpJoin::apply(input, skip.raw, channels, skip.slope.value_or(0.0));
}

void widen_first_(ConvLayer& reader, std::int64_t real, std::int64_t channels) {
  at::Tensor& weight = reader.weights.front();
  if (real < channels) {
    const at::Tensor first = at::constant_pad_nd(weight.narrow(1, 0, real), {0, 0, 0, 0, 0, 0, 0, channels - real});
    weight = at::cat({first, weight.narrow(1, real, weight.size(1) - real)}, 1);
  }
}

}  // namespace regatta::fast
