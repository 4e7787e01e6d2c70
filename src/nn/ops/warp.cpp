// The reference form: a sampling grid in [-1, 1] and LibTorch's grid sampler.
#include "regatta/nn/warp.hpp"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/grid_sampler_3d.h>
#include <ATen/ops/grid_sampler_3d_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/fast/compose.hpp"
#include "nn/fast/fields.hpp"
#include "nn/ops/sampling_grid.hpp"
#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kFirstAxis = 2;

void check_shapes(const at::Tensor& volume, const at::Tensor& flow) {
  const bool fits = volume.dim() == 5 && flow.dim() == 5 && flow.size(1) == 3 && volume.size(0) == flow.size(0) &&
                    volume.sizes().slice(kFirstAxis) == flow.sizes().slice(kFirstAxis);
  REGATTA_REQUIRE(fits, DataError, "warp: volume ", shape_text(volume), " and flow ", shape_text(flow),
                  ", expected [N, C, D, H, W] and [N, 3, D, H, W]");
  for (std::int64_t axis = kFirstAxis; axis < 5; ++axis) {
    REGATTA_REQUIRE(flow.size(axis) >= 2, DataError, "warp: flow ", shape_text(flow), ", each size must be at least 2");
  }
}

/// One node that keeps volume and flow, and makes the sampling grid twice.
class Warp : public torch::autograd::Function<Warp> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& volume, const at::Tensor& flow,
                            bool border, bool shifted) {
    context->save_for_backward({volume, flow});
    context->saved_data["border"] = border;
    context->saved_data["shifted"] = shifted;
    context->saved_data["volume"] = volume.requires_grad();
    return at::grid_sampler_3d(volume, sampling_grid(flow, volume), kTrilinear, border ? kBorderPadding : kZerosPadding,
                               !shifted);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& flow = saved[1];
    const bool border = context->saved_data["border"].toBool();
    const auto [to_volume, to_grid] = at::grid_sampler_3d_backward(
        outer.front(), saved[0], sampling_grid(flow, saved[0]), kTrilinear, border ? kBorderPadding : kZerosPadding,
        !context->saved_data["shifted"].toBool(), {context->saved_data["volume"].toBool(), true});
    const at::Tensor to_flow = at::empty_like(flow, at::MemoryFormat::Contiguous);
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      const double scale = 2.0 / static_cast<double>(flow.size(kFirstAxis + axis) - 1);
      to_flow.select(1, axis).copy_(to_grid.select(-1, 2 - axis)).mul_(scale);
    }
    return {to_volume, to_flow, at::Tensor(), at::Tensor()};
  }
};

/// Where a warp has no fast form, its name says why.
const char* reference_name(const at::Tensor& volume, const WarpOptions& options) {
  if (options.backend == Backend::kReference) {
    return "warp";
  }
  if (options.shifted_grid) {
    return "warp on a shifted grid";
  }
  return volume.size(1) == 1 ? "warp with a gradient to the volume" : "warp of several channels";
}

}  // namespace

at::Tensor warp(const at::Tensor& volume, const at::Tensor& flow, const WarpOptions& options) {
  check_shapes(volume, flow);
  const bool is_fast = options.backend == Backend::kFast && fast::has_warp(volume, flow, options);
  const StepPart part(is_fast ? Form::kKernel : Form::kReference, is_fast ? "warp" : reference_name(volume, options));
  if (is_fast) {
    return fast::warp(volume, flow, options);
  }
  return Warp::apply(volume, flow, options.outside == Outside::kBorder, options.shifted_grid);
}

at::Tensor integrate(const at::Tensor& velocity, const IntegrateOptions& options) {
  const bool is_fast = fast::has_integrate(velocity, options);
  const StepPart part(is_fast ? Form::kKernel : Form::kReference, "scaling and squaring");
  if (is_fast) {
    return fast::integrate(velocity, options);
  }
  at::Tensor field = options.scale ? velocity.mul(std::ldexp(1.0, -options.steps)) : velocity;
  for (int step = 0; step < options.steps; ++step) {
    field = compose(field, field, options.warp);
  }
  return field;
}

at::Tensor compose(const at::Tensor& outer, const at::Tensor& inner, const WarpOptions& options) {
  const bool is_fast = fast::has_compose(outer, inner, options);
  const StepPart part(is_fast ? Form::kKernel : Form::kReference, "composition of fields");
  if (is_fast) {
    return fast::compose(outer, inner, options);
  }
  return warp(outer, inner, options).add_(inner);
}

}  // namespace regatta
