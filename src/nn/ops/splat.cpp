#include "nn/ops/splat.hpp"

#include <algorithm>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

namespace regatta {
namespace {

constexpr double kUnitsPerLargest = 17592186044416.0;          // 2^44: room for 2^19 of the largest value in one voxel
constexpr std::int64_t kPointsAtOnce = std::int64_t{1} << 20;  // their corners take 250 MB

}  // namespace

Corners corners_of(const at::Tensor& points, const std::array<std::int64_t, 3>& sizes) {
  const at::NoGradGuard no_grad;
  std::array<at::Tensor, 3> low;
  std::array<at::Tensor, 3> fraction;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto last = static_cast<double>(sizes[axis] - 1);
    const at::Tensor inside = points.select(0, static_cast<std::int64_t>(axis)).clamp(0.0, last);
    const at::Tensor floor = inside.floor().clamp_max(last - 1.0);
    fraction[axis] = inside - floor;
    low[axis] = floor.to(at::kLong);
  }
  std::vector<at::Tensor> indices;
  std::vector<at::Tensor> weights;
  for (std::int64_t corner = 0; corner < 8; ++corner) {
    const std::array<std::int64_t, 3> up = {corner >> 2, corner >> 1 & 1, corner & 1};
    at::Tensor index = low[0] + up[0];
    at::Tensor weight = up[0] == 1 ? fraction[0] : 1.0 - fraction[0];
    for (std::size_t axis = 1; axis < 3; ++axis) {
      index = index * sizes[axis] + (low[axis] + up[axis]);
      weight = weight * (up[axis] == 1 ? fraction[axis] : 1.0 - fraction[axis]);
    }
    indices.push_back(index);
    weights.push_back(weight);
  }
  return {at::stack(indices), at::stack(weights)};
}

at::Tensor splat(const at::Tensor& values, const at::Tensor& points, const std::array<std::int64_t, 3>& sizes) {
  const at::NoGradGuard no_grad;
  const at::TensorOptions wide = values.options().dtype(at::kDouble);
  const at::Tensor units = values.abs().amax().to(at::kDouble).clamp_min_(1e-300).reciprocal_().mul_(kUnitsPerLargest);
  const at::Tensor sums = at::zeros({values.size(0), sizes[0] * sizes[1] * sizes[2]}, wide.dtype(at::kLong));
  const std::int64_t count = values.size(1);
  for (std::int64_t first = 0; first < count; first += kPointsAtOnce) {
    const std::int64_t length = std::min(kPointsAtOnce, count - first);
    const Corners corners = corners_of(points.narrow(1, first, length), sizes);
    const at::Tensor scaled = values.narrow(1, first, length).to(at::kDouble).mul(units);
    for (std::int64_t corner = 0; corner < 8; ++corner) {
      const at::Tensor part = scaled.mul(corners.weight.select(0, corner)).round_().to(at::kLong);
      sums.index_add_(1, corners.index.select(0, corner), part);
    }
  }
  return sums.to(at::kDouble).div_(units).to(values.scalar_type());
}

}  // namespace regatta
