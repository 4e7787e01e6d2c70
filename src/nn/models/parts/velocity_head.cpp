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
  const at::Tensor field = integrate(
      velocity, {.scale = !reference_, .warp = {.backend = backend_}});  // [N, 3, d, h, w] voxels of that grid
  if (grid_of(field) == grid_of(moving)) {
    out.flow = field;
  } else {
    const ResizeOptions options = {.backend = backend_};
    out.flow = reference_ ? resize(field, grid_of(moving), options) : resize_field(field, grid_of(moving), options);
  }
  out.regularised = reference_ ? field : velocity;
  out.warped = warp(moving, out.flow, {.backend = backend_});
  return out;
}

}  // namespace regatta::models
