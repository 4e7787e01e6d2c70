#include "nn/fast/resample.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/reading.hpp"
#include "nn/known_gradient.hpp"
#include "regatta/kernels/average_pool.hpp"
#include "regatta/kernels/max_pool.hpp"
#include "regatta/kernels/mean_pool.hpp"
#include "regatta/kernels/resize.hpp"
#include "regatta/kernels/upsample.hpp"
#include "regatta/nn/chip.hpp"

namespace regatta::fast {
namespace {

constexpr std::int64_t kMostOfAxis = 16384;

kernels::Resize resize_of(const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& to,
                          bool align_corners, const std::vector<double>& factors) {
  kernels::Resize work;
  work.from = {from[0], from[2], from[3], from[4]};
  work.to = {from[0], to[0], to[1], to[2]};
  work.align_corners = align_corners;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    work.factors[axis] = static_cast<float>(factors[axis]);
  }
  return work;
}

class ResizeField : public torch::autograd::Function<ResizeField> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const std::vector<std::int64_t>& size, bool align_corners,
                            const std::vector<double>& factors) {
    context->saved_data["from"] = given.sizes().vec();
    context->saved_data["to"] = size;
    context->saved_data["align_corners"] = align_corners;
    context->saved_data["factors"] = factors;
    const at::Tensor field = given.contiguous();
    const at::Tensor out = at::empty({field.size(0), field.size(1), size[0], size[1], size[2]}, field.options());
    if (const Chip chip = chip_of(field); chip.launches) {
      kernels::resize_forward(resize_of(field.sizes().vec(), size, align_corners, factors), floats(field), floats_(out),
                              chip.stream);
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor to_output = outer.front().contiguous();
    const std::vector<std::int64_t> from = context->saved_data["from"].toIntVector();
    const at::Tensor to_input = at::empty(from, to_output.options());
    if (const Chip chip = chip_of(to_output); chip.launches) {
      const kernels::Resize work =
          resize_of(from, context->saved_data["to"].toIntVector(), context->saved_data["align_corners"].toBool(),
                    context->saved_data["factors"].toDoubleVector());
      kernels::resize_backward(work, floats(to_output), floats_(to_input), chip.stream);
    }
    return {to_input, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

kernels::UpsampleShape upsample_of(const at::Tensor& features, bool align_corners) {
  return {volume_size(features), static_cast<int>(features.size(1)), align_corners};
}

/// Of another grid, same channels, NDHWC.
at::Tensor features_like(const at::Tensor& features, const kernels::VolumeSize& size) {
  return at::empty({size.n, features.size(1), size.d, size.h, size.w}, features.options(),
                   at::MemoryFormat::ChannelsLast3d);
}

class Upsample : public torch::autograd::Function<Upsample> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, bool align_corners) {
    context->saved_data["align_corners"] = align_corners;
    const at::Tensor features = in_layout(given);
    const kernels::UpsampleShape shape = upsample_of(features, align_corners);
    const at::Tensor out = features_like(features, shape.output_size());
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::upsample_forward(shape, {bf16(features), bf16_(out)}, chip.capability, chip.stream);
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor to_output = in_layout(outer.front());
    kernels::UpsampleShape shape = upsample_of(to_output, context->saved_data["align_corners"].toBool());
    shape.size.d /= 2;
    shape.size.h /= 2;
    shape.size.w /= 2;
    const at::Tensor to_input = features_like(to_output, shape.size);
    if (const Chip chip = chip_of(to_output); chip.launches) {
      kernels::upsample_backward(shape, {bf16(to_output), bf16_(to_input)}, chip.capability, chip.stream);
    }
    return {to_input, at::Tensor()};
  }
};

kernels::MaxPoolShape max_pool_of(const at::Tensor& features) {
  return {volume_size(features), static_cast<int>(features.size(1))};
}

class MaxPool : public torch::autograd::Function<MaxPool> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, double leaky) {
    const at::Tensor features = in_layout(given);
    context->save_for_backward({features});
    context->saved_data["leaky"] = leaky;
    const kernels::MaxPoolShape shape = max_pool_of(features);
    const at::Tensor out = features_like(features, shape.output_size());
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::max_pool_forward(shape, {bf16(features), bf16_(out)}, chip.capability, chip.stream);
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor features = context->get_saved_variables().front();
    const at::Tensor to_output = in_layout(outer.front());
    const at::Tensor to_input = at::empty_like(features);
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::MaxPoolBackward arrays;
      arrays.in = bf16(features);
      arrays.output_gradient = bf16(to_output);
      arrays.slope = static_cast<float>(context->saved_data["leaky"].toDouble());
      arrays.input_gradient = bf16_(to_input);
      kernels::max_pool_backward(max_pool_of(features), arrays, chip.capability, chip.stream);
    }
    return {to_input, at::Tensor()};
  }
};

kernels::MeanPoolShape mean_pool_of(const kernels::VolumeSize& size, const at::Tensor& features) {
  return {size, static_cast<int>(features.size(1))};
}

class MeanPool : public torch::autograd::Function<MeanPool> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given) {
    const at::Tensor features = in_layout(given);
    context->saved_data["size"] = features.sizes().vec();
    const kernels::MeanPoolShape shape = mean_pool_of(volume_size(features), features);
    const at::Tensor out = features_like(features, shape.output_size());
    if (const Chip chip = chip_of(features); chip.launches) {
      kernels::mean_pool_forward(shape, bf16(features), bf16_(out), chip.capability, chip.stream);
    }
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor to_output = in_layout(outer.front());
    const std::vector<std::int64_t> size = context->saved_data["size"].toIntVector();
    const kernels::MeanPoolShape shape = mean_pool_of({size[0], size[2], size[3], size[4]}, to_output);
    const at::Tensor to_input = features_like(to_output, shape.size);
    if (const Chip chip = chip_of(to_output); chip.launches) {
      kernels::mean_pool_backward(shape, bf16(to_output), bf16_(to_input), chip.capability, chip.stream);
    }
    return {to_input};
  }
};

}  // namespace

bool has_resize(const at::Tensor& field, const std::array<std::int64_t, 3>& size) {
  bool fits = has_chip(field) && field.dim() == 5 && field.size(1) == 3 && field.scalar_type() == at::kFloat;
  for (std::size_t axis = 0; fits && axis < 3; ++axis) {
    fits = size[axis] <= kMostOfAxis && field.size(static_cast<std::int64_t>(axis) + 2) <= kMostOfAxis;
  }
  return fits;
}

at::Tensor resize(const at::Tensor& field, const std::array<std::int64_t, 3>& size, bool align_corners,
                  const std::array<double, 3>& factors) {
  return ResizeField::apply(field, std::vector<std::int64_t>(size.begin(), size.end()), align_corners,
                            std::vector<double>(factors.begin(), factors.end()));
}

bool has_upsample(const at::Tensor& features) {
  return features.scalar_type() == at::kBFloat16 && has_chip(features) &&
         kernels::has_form(upsample_of(features, false), chip_of(features).capability);
}

at::Tensor upsample(const at::Tensor& features, bool align_corners) {
  return Upsample::apply(features, align_corners);
}

bool has_average_pool(const at::Tensor& images, std::int64_t kernel, std::int64_t stride) {
  return images.scalar_type() == at::kBFloat16 && images.size(1) == 2 && kernel == 3 && stride == 2 &&
         has_chip(images) && !needs_gradient(images);
}

at::Tensor average_pool(const at::Tensor& images) {
  const at::Tensor pair = in_layout(images);
  const kernels::VolumeSize size = volume_size(pair);
  const at::Tensor out = features_like(pair, kernels::average_pool_size(size));
  if (const Chip chip = chip_of(pair); chip.launches) {
    kernels::average_pool_forward(size, bf16(pair), bf16_(out), chip.stream);
  }
  return out;
}

bool has_mean_pool(const at::Tensor& features, std::int64_t kernel, std::int64_t stride) {
  return features.scalar_type() == at::kBFloat16 && kernel == 2 && stride == 2 && has_chip(features) &&
         kernels::has_form(mean_pool_of(volume_size(features), features), chip_of(features).capability);
}

at::Tensor mean_pool(const at::Tensor& features) {
  return MeanPool::apply(features);
}

bool has_max_pool(const Feature& feature) {
  return feature.raw.scalar_type() == at::kBFloat16 && !feature.upsample && !feature.slope.defined() &&
         has_chip(feature.raw) && kernels::has_form(max_pool_of(feature.raw), chip_of(feature.raw).capability);
}

at::Tensor max_pool(const Feature& feature) {
  return MaxPool::apply(feature.raw, feature.leaky);
}

}  // namespace regatta::fast
