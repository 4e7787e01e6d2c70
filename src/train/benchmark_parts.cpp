#include "train/benchmark_parts.hpp"

#include <array>
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "regatta/nn/warp.hpp"

namespace regatta {
namespace {

/// Coordinates from -1 to 1 along one axis, shaped to broadcast.
at::Tensor axis(const Shape3& shape, std::int64_t which, const at::TensorOptions& options) {
  std::vector<std::int64_t> view(3, 1);
  view[static_cast<std::size_t>(which)] = -1;
  const std::int64_t size = shape[static_cast<std::size_t>(which)];
  return at::arange(size, options).mul(2.0 / static_cast<double>(size - 1)).sub(1.0).view(view);
}

at::Tensor head(const Shape3& shape, double phase, const at::TensorOptions& options) {
  const at::Tensor d = axis(shape, 0, options);
  const at::Tensor h = axis(shape, 1, options);
  const at::Tensor w = axis(shape, 2, options);
  const at::Tensor radius = (d / 0.85).square() + (h / 0.9).square() + (w / 0.8).square();
  const at::Tensor coarse = ((d * 9.0 + phase).sin() * (h * 11.0 - phase).cos() * (w * 7.0 + 0.5 * phase).sin());
  const at::Tensor fine = ((d * 53.0).sin() + (h * 61.0 + phase).sin() + (w * 47.0).cos()) / 3.0;
  const at::Tensor tissue = (coarse * 0.25 + fine * 0.15 + 0.55) * (radius < 1.0).to(at::kFloat);
  return tissue.clamp(0.0, 1.0).mul(255.0).round().div(255.0);
}

/// Smooth, up to about 4 voxels: [1, 3, D, H, W].
at::Tensor displacement(const Shape3& shape, double phase, const at::TensorOptions& options) {
  const at::Tensor d = axis(shape, 0, options);
  const at::Tensor h = axis(shape, 1, options);
  const at::Tensor w = axis(shape, 2, options);
  const auto wave_of = [&](double a, double b, double c) {
    return ((d * a + phase).sin() * (h * b + 0.3).cos() * (w * c - phase).cos() * 4.0)
        .expand({shape[0], shape[1], shape[2]});
  };
  return at::stack({wave_of(3.0, 2.0, 2.5), wave_of(2.0, 3.0, 1.5), wave_of(2.5, 1.5, 3.0)}).unsqueeze(0);
}

/// Indices along one axis of [N, C, D, H, W], shaped to broadcast.
at::Tensor index_along(const at::Tensor& volume, std::int64_t axis) {
  std::vector<std::int64_t> view(5, 1);
  view[static_cast<std::size_t>(axis)] = -1;
  return at::arange(volume.size(axis), volume.options().dtype(at::kLong)).view(view);
}

/// @param number  [1, 1, D, H, W], cut out where the fixed image is 0
void set_labels_(PairState& pair, const at::Tensor& number, int labels) {
  pair.fixed_labels = number.mul(pair.fixed.gt(0.0)).to(at::kByte).contiguous();
  pair.moving_labels = at::roll(pair.fixed_labels, {3, 2, -2}, {2, 3, 4});
  pair.label_count = labels;
}

}  // namespace

PairState head_pair(const Shape3& shape, int batch, const at::Device& device) {
  const at::NoGradGuard no_gradients;
  const at::TensorOptions floats = at::TensorOptions().dtype(at::kFloat).device(device);
  std::vector<at::Tensor> moving;
  std::vector<at::Tensor> fixed;
  for (int i = 0; i < batch; ++i) {
    fixed.push_back(head(shape, 0.4 * i, floats).view({1, 1, shape[0], shape[1], shape[2]}));
    moving.push_back(warp(fixed.back(), displacement(shape, 1.0 + i, floats)).mul(255.0).round().div(255.0));
  }
  PairState pair;
  pair.moving = at::cat(moving);
  pair.fixed = at::cat(fixed);
  pair.in_unit_range = true;
  return pair;
}

void add_labels_(PairState& pair, int labels) {
  constexpr std::int64_t kBox = 16;  // edge of a region, voxels
  const at::NoGradGuard no_gradients;
  const auto box = [&](std::int64_t axis) { return index_along(pair.fixed, axis).floor_divide(kBox); };
  set_labels_(pair, (box(2) * 7 + box(3) * 5 + box(4) * 3).remainder(labels - 1).add(1), labels);
}

void add_structures_(PairState& pair, int labels) {
  const at::NoGradGuard no_gradients;
  const auto parts = static_cast<std::int64_t>(std::ceil(std::cbrt(labels - 1)));  // along each axis
  const auto part = [&](std::int64_t axis) {
    return (index_along(pair.fixed, axis) * parts).floor_divide(pair.fixed.size(axis));
  };
  const at::Tensor number = (part(2) * parts + part(3)) * parts + part(4) + 1;
  set_labels_(pair, number.mul(number.lt(labels)), labels);
}

double grow_field_(Model& model, const PairState& pair, double mean_voxels) {
  const at::NoGradGuard no_gradients;
  const auto mean = [&] { return model.forward(pair.moving, pair.fixed).flow.abs().mean().item<double>(); };
  double reached = mean();
  for (const Parameter& parameter : model.parameters().items()) {
    if (reached > 0.0 && reached < mean_voxels && parameter.value.dim() == 5 && parameter.value.size(0) == 3) {
      at::Tensor(parameter.value).mul_(mean_voxels / reached);
      reached = mean();
    }
  }
  return reached;
}

}  // namespace regatta
