#include "nn/ops/spline_sampling.hpp"

#include <array>
#include <cmath>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

namespace regatta {
namespace {

const double kPole = std::sqrt(3.0) - 2.0;  // of the recursive filter that inverts (1, 4, 1) / 6

/// Samples to coefficients along one line, mirrored at both ends: forward and backward recursion.
void filter(double* line, std::int64_t size) {
  if (size < 2) {
    return;
  }
  const double period = std::pow(kPole, static_cast<double>(2 * size - 2));
  double sum = 0.0;
  for (std::int64_t k = 0; k < 2 * size - 2; ++k) {
    sum += std::pow(kPole, static_cast<double>(k)) * line[k < size ? k : 2 * size - 2 - k];
  }
  line[0] = 6.0 * sum / (1.0 - period);
  for (std::int64_t i = 1; i < size; ++i) {
    line[i] = 6.0 * line[i] + kPole * line[i - 1];
  }
  line[size - 1] = kPole / (kPole * kPole - 1.0) * (line[size - 1] + kPole * line[size - 2]);
  for (std::int64_t i = size - 2; i >= 0; --i) {
    line[i] = kPole * (line[i + 1] - line[i]);
  }
}

/// The filter as a matrix, [size, size]: column i is the answer to a 1 at voxel i.
at::Tensor filter_matrix(std::int64_t size, const at::Device& device) {
  at::Tensor answers = at::eye(size, at::TensorOptions().dtype(at::kDouble));
  for (std::int64_t i = 0; i < size; ++i) {
    filter(answers.data_ptr<double>() + i * size, size);
  }
  return answers.t().to(device);
}

at::Tensor coefficients_of(const at::Tensor& volume) {
  const auto matrix = [&](std::int64_t axis) { return filter_matrix(volume.size(axis), volume.device()); };
  at::Tensor out = volume.to(at::kDouble).contiguous();
  out = at::matmul(matrix(0), out.view({volume.size(0), -1})).view(volume.sizes());
  out = at::matmul(matrix(1), out);
  return at::matmul(out, matrix(2).t());
}

/// Where one axis is read for each point: indices [K, 4] int64 and weights [K, 4] of the four basis functions there.
struct Taps {
  at::Tensor index;
  at::Tensor weight;
};

Taps taps_of(const at::Tensor& position, std::int64_t size) {
  const at::Tensor base = position.floor();
  const at::Tensor t = position - base;
  const at::Tensor s = 1.0 - t;
  const auto near = [](const at::Tensor& x) { return (x.mul(3.0).sub_(6.0)).mul_(x).mul_(x).add_(4.0); };
  Taps taps;
  taps.weight = at::stack({s.pow(3), near(t), near(s), t.pow(3)}, 1).div_(6.0);
  at::Tensor index = base.to(at::kLong).unsqueeze(1).add(at::arange(-1, 3, base.options().dtype(at::kLong)));
  index = index.abs();
  const at::Tensor over = index.sub(size - 1).clamp_min_(0);
  taps.index = index.sub_(over.mul(2)).clamp_(0, size - 1);
  return taps;
}

}  // namespace

at::Tensor sample_cubic_spline(const at::Tensor& volume, const at::Tensor& points) {
  const at::Tensor coefficients = coefficients_of(volume);
  const at::Tensor at_points = points.to(at::kDouble);
  at::Tensor inside = at::zeros({points.size(0)}, points.options().dtype(at::kBool)).logical_not_();
  std::array<Taps, 3> taps;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const at::Tensor position = at_points.select(1, axis);
    const auto last = static_cast<double>(volume.size(axis) - 1);
    inside = inside.logical_and_(position.ge(0.0).logical_and_(position.le(last)));  // false for NaN
    taps[static_cast<std::size_t>(axis)] = taps_of(position.nan_to_num(0.0).clamp_(0.0, last), volume.size(axis));
  }
  const auto along = [](const at::Tensor& values, std::int64_t axis) {  // [K, 4] as one axis of [K, 4, 4, 4]
    std::array<std::int64_t, 4> shape = {values.size(0), 1, 1, 1};
    shape[static_cast<std::size_t>(axis) + 1] = 4;
    return values.view(shape);
  };
  const at::Tensor index =
      (along(taps[0].index, 0) * volume.size(1) + along(taps[1].index, 1)) * volume.size(2) + along(taps[2].index, 2);
  const at::Tensor weight = along(taps[0].weight, 0) * along(taps[1].weight, 1) * along(taps[2].weight, 2);
  const at::Tensor picked = coefficients.reshape({-1}).index_select(0, index.flatten()).view(index.sizes());
  return (picked * weight).flatten(1).sum(1).masked_fill_(inside.logical_not(), 0.0);
}

}  // namespace regatta
