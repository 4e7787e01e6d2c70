#include "nn/models/parts/velocity_head.hpp"

#include <ATen/TensorOperators.h>

#include "nn/layers/resize.hpp"
#include "nn/layers/sampling.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::models {
namespace {

// Inits of the reference: almost no motion, almost no doubt.
const Init kMeanInit = Init::normal(1e-5);
const Init kLogVarianceInit = Init::normal(1e-10);
constexpr double kLogVarianceStart = -10.0;

}  // namespace

VelocityHead::VelocityHead(Parameters& parameters, std::int64_t channels, bool reference)
    : mean_(parameters, "flow_mean",
            {.in = channels, .out = 3, .weight_init = kMeanInit, .bias_init = Init::constant(0.0), .field = true}),
      log_variance_(parameters, "flow_sigma",
                    {.in = channels,
                     .out = 3,
                     .weight_init = kLogVarianceInit,
                     .bias_init = Init::constant(kLogVarianceStart),
                     .field = true}),
      reference_(reference),
      backend_(parameters.context().backend) {}

ModelOutput VelocityHead::operator()(const Feature& features, const at::Tensor& moving,
                                     const std::optional<TrainingDraw>& draw) const {
  ModelOutput out;
  out.velocity_mean = mean_({features}).value();  // [N, 3, d, h, w] voxels of that grid
  out.velocity_log_variance = log_variance_({features}).value();
  at::Tensor velocity = out.velocity_mean;
  if (draw) {
    const at::Tensor deviation = out.velocity_log_variance.mul(0.5).exp();
    velocity = velocity + deviation * normal_like(velocity, *draw, 0);
  }
  if (reference_) {
    const at::Tensor field = integrate(velocity, {.scale = false, .warp = {.backend = backend_}});
    const bool full = grid_of(field) == grid_of(moving);
    out.flow = full ? field : resize(field, grid_of(moving), {.backend = backend_});
    out.regularised = field;
  } else {
    out.flow = displacement_of(velocity, moving);
    out.regularised = velocity;
  }
  out.warped = warp(moving, out.flow, {.backend = backend_});
  return out;
}

at::Tensor VelocityHead::displacement_of(const at::Tensor& velocity, const at::Tensor& volume) const {
  const at::Tensor field = integrate(velocity, {.warp = {.backend = backend_}});  // voxels of the velocity's grid
  const bool full = grid_of(field) == grid_of(volume);
  return full ? field : resize_field(field, grid_of(volume), {.backend = backend_});
}

}  // namespace regatta::models
