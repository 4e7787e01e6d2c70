// Non-diffeomorphic volume, percent: how much of the volume a field folds if it is piecewise linear on tetrahedra. Each
// cell of 8 voxels is cut into 5 tetrahedra in two ways; of each voxel the eight with one-sided differences and the two
// with differences along the diagonals of the planes count, half each. One voxel at each side is left out; within the
// fixed mask where there is one. The detail "ndv/nondiffeomorphic" is the percentage of voxels whose determinant by
// central differences is not positive. Source: LUMIR's and MIR's evaluation (digital diffeomorphism, Liu et al. 2022).
#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "nn/ops/jacobian.hpp"
#include "nn/shapes.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

constexpr std::int64_t kPlanesAtOnce = 32;  // bounds the memory of some thirty volumes in double precision

using Column = std::array<at::Tensor, 3>;  ///< the change of p + u(p) along one direction, components D, H, W

at::Tensor determinant(const Column& a, const Column& b, const Column& c) {
  const auto minor = [&](std::size_t p, std::size_t q) { return b[p].mul(c[q]).sub_(b[q].mul(c[p])); };
  return minor(1, 2).mul_(a[0]).sub_(minor(0, 2).mul_(a[1])).add_(minor(0, 1).mul_(a[2]));
}

/// The map p + u(p) on some planes of the grid, its neighbours in reach.
class Planes {
 public:
  /// @param field  [3, planes + 2, H, W]
  explicit Planes(at::Tensor field) : field_(std::move(field)) {}

  /// From p to its neighbour at `step` (each -1, 0 or 1), in the direction of rising indices.
  Column change(const std::array<std::int64_t, 3>& step) const {
    const bool back = step[0] + step[1] + step[2] < 0;
    Column out;
    for (std::size_t c = 0; c < 3; ++c) {
      out[c] = shifted(c, step).sub(shifted(c, {0, 0, 0})).add_(static_cast<double>(step[c]));
      if (back) {
        out[c].neg_();
      }
    }
    return out;
  }

 private:
  at::Tensor shifted(std::size_t component, const std::array<std::int64_t, 3>& step) const {
    at::Tensor view = field_[static_cast<std::int64_t>(component)];
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      view = view.narrow(axis, 1 + step[static_cast<std::size_t>(axis)], view.size(axis) - 2);
    }
    return view;
  }

  at::Tensor field_;
};

/// Folded volume of each voxel, in voxels.
at::Tensor folded_volume(const std::array<Column, 3>& forward, const std::array<Column, 3>& backward,
                         const Planes& planes) {
  const auto folded = [](const at::Tensor& det) { return det.neg().clamp_min_(0.0); };
  at::Tensor sum;
  for (unsigned sides = 0; sides < 8; ++sides) {
    const auto side = [&](unsigned axis) -> const Column& {
      return (sides >> axis & 1U) != 0 ? forward[axis] : backward[axis];
    };
    const at::Tensor volume = folded(determinant(side(0), side(1), side(2)));
    sum = sum.defined() ? sum.add_(volume) : volume;
  }
  for (const std::int64_t s : {-1, 1}) {
    const Column dh = planes.change({s, s, 0});
    const Column dw = planes.change({s, 0, s});
    const Column hw = planes.change({0, s, s});
    sum.add_(folded(determinant(dw, dh, hw)));  // in this order the identity has determinant +2
  }
  return sum.mul_(0.5 / 6.0);
}

class Ndv final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    if (!pair.flow.defined() || pair.flow.size(2) < 3 || pair.flow.size(3) < 3 || pair.flow.size(4) < 3) {
      return {{"ndv", nan}, {"ndv/nondiffeomorphic", nan}};
    }
    check_field("ndv", pair.flow, 3);
    check_mask("ndv", pair.fixed_mask, pair.flow);
    const at::NoGradGuard no_grad;
    at::Tensor sums = at::zeros({3}, pair.flow.options().dtype(at::kDouble));  // volume, folds, voxels
    const std::int64_t inside = pair.flow.size(2) - 2;
    for (std::int64_t first = 0; first < inside; first += kPlanesAtOnce) {
      const std::int64_t planes = std::min(kPlanesAtOnce, inside - first);
      at::Tensor mask;  // [planes, H - 2, W - 2]
      if (pair.fixed_mask.defined()) {
        mask = without_border(pair.fixed_mask[0][0].ne(0), 1).narrow(0, first, planes);
      }
      sums.add_(sums_of(Planes(pair.flow[0].narrow(1, first, planes + 2).to(at::kDouble)), mask));
    }
    const at::Tensor host = sums.cpu();
    const double* sum = host.const_data_ptr<double>();
    return {{"ndv", 100.0 * sum[0] / sum[2]}, {"ndv/nondiffeomorphic", 100.0 * sum[1] / sum[2]}};
  }

 private:
  static at::Tensor sums_of(const Planes& planes, const at::Tensor& mask) {
    std::array<Column, 3> forward;
    std::array<Column, 3> backward;
    std::array<Column, 3> central;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      std::array<std::int64_t, 3> step{};
      step[axis] = 1;
      forward[axis] = planes.change(step);
      step[axis] = -1;
      backward[axis] = planes.change(step);
      for (std::size_t c = 0; c < 3; ++c) {
        central[axis][c] = forward[axis][c].add(backward[axis][c]).mul_(0.5);
      }
    }
    at::Tensor volume = folded_volume(forward, backward, planes);
    at::Tensor folds = determinant(central[0], central[1], central[2]).gt(0.0).logical_not_();  // NaN folds
    if (!mask.defined()) {
      const auto voxels = static_cast<double>(volume.numel());
      return at::stack({volume.sum(), folds.sum().to(at::kDouble), at::zeros({}, volume.options()).add_(voxels)});
    }
    return at::stack({volume.masked_fill_(mask.logical_not(), 0.0).sum(),
                      folds.logical_and_(mask).sum().to(at::kDouble), mask.sum().to(at::kDouble)});
  }
};

}  // namespace

std::unique_ptr<Metric> make_ndv() {
  return std::make_unique<Ndv>();
}

}  // namespace regatta::metrics
