#include "nn/layers/resize.hpp"

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/upsample_nearest3d.h>
#include <ATen/ops/upsample_trilinear3d.h>
#include <ATen/ops/upsample_trilinear3d_backward.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/resample.hpp"
#include "nn/layers/precision.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

/// Row o: the weights with which the inputs of one axis make output o, a hat around the point that it reads. [out, in].
/// Made on the device, so that nothing waits for a transfer.
at::Tensor interpolation_matrix(std::int64_t in, std::int64_t out, bool align_corners, const at::Tensor& like) {
  const at::TensorOptions wide = like.options().dtype(at::kDouble);
  const double ratio = align_corners
                           ? static_cast<double>(in - 1) / static_cast<double>(std::max<std::int64_t>(out - 1, 1))
                           : static_cast<double>(in) / static_cast<double>(out);
  const double offset = align_corners ? 0.0 : 0.5 * ratio - 0.5;
  const at::Tensor point = at::arange(out, wide).mul_(ratio).add_(offset).clamp_(0.0, static_cast<double>(in - 1));
  const at::Tensor distance = point.unsqueeze(1).sub(at::arange(in, wide)).abs_();
  return distance.neg_().add_(1.0).clamp_min_(0.0).to(like.scalar_type());
}

/// The adjoint of trilinear resampling, one axis after the other, as matrix products: LibTorch's own kernel for CUDA
/// adds with float atomics.
at::Tensor resize_adjoint(at::Tensor gradient, const std::vector<std::int64_t>& in_sizes, bool align_corners) {
  for (std::int64_t axis = 4; axis >= 2; --axis) {
    const std::int64_t in = in_sizes[static_cast<std::size_t>(axis)];
    const at::Tensor matrix = interpolation_matrix(in, gradient.size(axis), align_corners, gradient);
    gradient = at::matmul(gradient.transpose(axis, 4), matrix).transpose(axis, 4);
  }
  return gradient;
}

class Trilinear : public torch::autograd::Function<Trilinear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const std::vector<std::int64_t>& size, bool align_corners) {
    context->saved_data["in"] = input.sizes().vec();
    context->saved_data["align_corners"] = align_corners;
    return at::upsample_trilinear3d(input, size, align_corners);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const at::Tensor& gradient = outer.front();
    const std::vector<std::int64_t> in = context->saved_data["in"].toIntVector();
    const bool align_corners = context->saved_data["align_corners"].toBool();
    const at::Tensor to_input =
        gradient.is_cpu() ? at::upsample_trilinear3d_backward(gradient, gradient.sizes().slice(2), in, align_corners)
                          : resize_adjoint(gradient, in, align_corners);
    return {to_input, at::Tensor(), at::Tensor()};
  }
};

bool by_kernel(const at::Tensor& field, const std::array<std::int64_t, 3>& size, const ResizeOptions& options) {
  return options.backend == Backend::kFast && fast::has_resize(field, size);
}

}  // namespace

std::array<std::int64_t, 3> grid_of(const at::Tensor& volume) {
  return {volume.size(2), volume.size(3), volume.size(4)};
}

at::Tensor upsample_nearest(const at::Tensor& input) {
  const StepPart part(Form::kReference, "nearest up-sampling");
  const std::array<std::int64_t, 3> size = {input.size(2) * 2, input.size(3) * 2, input.size(4) * 2};
  return at::upsample_nearest3d(input, size);
}

at::Tensor resize(const at::Tensor& input, const std::array<std::int64_t, 3>& size, const ResizeOptions& options) {
  if (by_kernel(input, size, options)) {
    const StepPart part(Form::kKernel, "trilinear resampling");
    return fast::resize(input, size, options.align_corners, {1.0, 1.0, 1.0});
  }
  const StepPart part(Form::kReference, "trilinear resampling");
  return Trilinear::apply(input, std::vector<std::int64_t>(size.begin(), size.end()), options.align_corners);
}

at::Tensor upsample_trilinear(const at::Tensor& input, const ResizeOptions& options) {
  if (fast::has_upsample(input)) {
    const StepPart part(Form::kKernel, "trilinear up-sampling");
    return fast::upsample(input, options.align_corners);
  }
  return resize(input, {input.size(2) * 2, input.size(3) * 2, input.size(4) * 2}, options);
}

at::Tensor resize_field(const at::Tensor& field, const std::array<std::int64_t, 3>& size,
                        const ResizeOptions& options) {
  REGATTA_REQUIRE(field.dim() == 5 && field.size(1) == 3, BugError, "resize_field: not a field");
  std::array<double, 3> factors{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t less = options.align_corners ? 1 : 0;
    factors[axis] = static_cast<double>(size[axis] - less) /
                    static_cast<double>(field.size(static_cast<std::int64_t>(axis) + 2) - less);
  }
  if (by_kernel(field, size, options)) {
    const StepPart part(Form::kKernel, "trilinear resampling");
    return fast::resize(field, size, options.align_corners, factors);
  }
  return scale_components(resize(field, size, options), factors);
}

std::array<double, 3> voxels_per_unit(const at::Tensor& volume) {
  std::array<double, 3> voxels{};
  for (std::size_t axis = 0; axis < voxels.size(); ++axis) {
    voxels[axis] = 0.5 * static_cast<double>(volume.size(static_cast<std::int64_t>(axis) + 2) - 1);
  }
  return voxels;
}

at::Tensor scale_components(const at::Tensor& field, const std::array<double, 3>& factors) {
  std::vector<at::Tensor> values;
  for (const double factor : factors) {
    values.push_back(at::full({1}, factor, field.options()));
  }
  return field.mul(at::cat(values).view({1, 3, 1, 1, 1}));
}

at::Tensor spline_matrix(std::int64_t size, std::int64_t points, std::int64_t spacing, const at::Tensor& like) {
  const at::TensorOptions wide = like.options().dtype(at::kDouble);
  const at::Tensor voxel = at::arange(size, wide).div_(static_cast<double>(spacing)).add_(1.0);
  const at::Tensor t = voxel.unsqueeze(1).sub(at::arange(points, wide)).abs_();
  const at::Tensor near = t.mul(0.5).sub_(1.0).mul_(t).mul_(t).add_(2.0 / 3.0);
  const at::Tensor far = t.neg().add_(2.0).clamp_min_(0.0).pow(3).div_(6.0);
  return at::where(t.lt(1.0), near, far).to(like.scalar_type());
}

at::Tensor average_pool(const at::Tensor& input, std::int64_t kernel, std::int64_t stride) {
  if (fast::has_average_pool(input, kernel, stride)) {
    const StepPart part(Form::kKernel, "average pooling");
    return fast::average_pool(input);
  }
  if (fast::has_mean_pool(input, kernel, stride)) {
    const StepPart part(Form::kKernel, "average pooling");
    return fast::mean_pool(input);
  }
  const StepPart part(Form::kReference, "average pooling");
  const std::int64_t padding = kernel % 2 == 1 ? kernel / 2 : 0;
  return at::avg_pool3d(as_wide(input), kernel, stride, padding, /*ceil_mode=*/false, /*count_include_pad=*/true)
      .to(input.scalar_type());
}

at::Tensor max_pool(const Feature& input) {
  if (fast::has_max_pool(input)) {
    const StepPart part(Form::kKernel, "max pooling");
    return fast::max_pool(input);
  }
  const StepPart part(Form::kReference, "max pooling");
  return at::max_pool3d(input.value(), 2);
}

}  // namespace regatta
