// Target registration error, mm: the mean distance between the moving key-points and the fixed ones as the field moves
// them. The field is read at the fixed points by a cubic spline (order 3, 0 outside the grid), as in Learn2Reg's
// evaluation. The error lies between two points of the moving scan, so its voxels, not the fixed ones, give the
// millimetres; along sheared axes too. The details "tre/0", "tre/1" ... are the points, in the file's order.
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "nn/ops/spline_sampling.hpp"
#include "nn/shapes.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Tre final : public Metric {
 public:
  bool ranks_difficulty() const override { return true; }
  bool in_millimetres() const override { return true; }

  Measured measure(const PairState& pair) const override {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    if (!pair.fixed_keypoints.defined() || !pair.moving_keypoints.defined() || !pair.flow.defined()) {
      return {{"tre", nan}};
    }
    check_inputs(pair);
    if (pair.fixed_keypoints.size(0) == 0) {
      return {{"tre", nan}};
    }
    const at::NoGradGuard no_grad;
    const at::Tensor fixed = pair.fixed_keypoints.to(pair.flow.device(), at::kDouble);
    const at::Tensor moving = pair.moving_keypoints.to(pair.flow.device(), at::kDouble);
    std::vector<at::Tensor> components;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      components.push_back(sample_cubic_spline(pair.flow[0][axis], fixed));
    }
    const at::Tensor away = at::stack(components, 1).add_(fixed).sub_(moving);  // [K, 3] voxels
    const at::Tensor axes = at::tensor(pair.moving_axes_mm, away.options()).view({3, 3});
    const at::Tensor distance = at::matmul(away, axes.t()).square_().sum(1).sqrt_().cpu();  // [K] mm
    Measured out = {{"tre", distance.mean().item<double>()}};
    for (std::int64_t k = 0; k < distance.numel(); ++k) {
      out.emplace_back(str("tre/", k), distance.const_data_ptr<double>()[k]);
    }
    return out;
  }

 private:
  static void check_inputs(const PairState& pair) {
    check_field("tre", pair.flow, 1);
    const auto is_list = [](const at::Tensor& points) { return points.dim() == 2 && points.size(1) == 3; };
    const bool fits = is_list(pair.fixed_keypoints) && pair.fixed_keypoints.sizes() == pair.moving_keypoints.sizes() &&
                      pair.flow.size(0) == 1;
    REGATTA_REQUIRE(fits, DataError, "tre: key-points ", shape_text(pair.fixed_keypoints), " fixed and ",
                    shape_text(pair.moving_keypoints), " moving, field ", shape_text(pair.flow),
                    ", expected twice [K, 3] and one field");
  }
};

}  // namespace

std::unique_ptr<Metric> make_tre() {
  return std::make_unique<Tre>();
}

}  // namespace regatta::metrics
