// Going along the field and back along its inverse should end where it began: mean square of the displacement of
// p -> inverse(forward(p)), over components and voxels, voxels^2. Points that the field carries out of the volume read
// the border. Sides "forward" and "backward" together make it symmetric.
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/meshgrid.h>
#include <ATen/ops/stack.h>

#include "nn/known_gradient.hpp"
#include "nn/losses/two_fields.hpp"
#include "nn/ops/splat.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::losses {
namespace {

struct InverseConsistencyOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

/// The points p + flow(p) of one pair. @param flow  [3, D, H, W]
at::Tensor end_points(const at::Tensor& flow) {
  std::vector<at::Tensor> axes;
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    axes.push_back(at::arange(flow.size(axis), flow.options()));
  }
  return at::stack(at::meshgrid(axes, "ij")).add_(flow).view({3, -1});
}

/// What the sampling hands back to the sampled field. LibTorch's sampler would use atomic additions of floats.
at::Tensor to_sampled(const at::Tensor& slope, const at::Tensor& flow) {
  std::vector<at::Tensor> parts;
  const std::array<std::int64_t, 3> sizes = {flow.size(2), flow.size(3), flow.size(4)};
  for (std::int64_t n = 0; n < flow.size(0); ++n) {
    const at::Tensor points = end_points(flow.select(0, n));
    parts.push_back(splat(slope.select(0, n).reshape({3, -1}), points, sizes).view(flow.sizes().slice(1)));
  }
  return at::stack(parts);
}

class InverseConsistency final : public Loss {
 public:
  /// Keeps a field for each of the two; transient memory: about 20 fields of the volumes' type.
  at::Tensor value(const PairState& pair) const override {
    check_two_fields("inverse_consistency", pair);
    const bool flow_asks = needs_gradient(pair.flow);
    const bool inverse_asks = needs_gradient(pair.inverse_flow);
    const at::Tensor inner = pair.flow.detach().set_requires_grad(flow_asks);
    const at::Tensor outer = pair.inverse_flow.detach();
    const at::Tensor round_trip = warp(outer, inner, {.outside = Outside::kBorder}) + inner;
    at::Tensor value = round_trip.square().mean();
    if (flow_asks) {
      value.backward();
    }
    const at::Tensor plain = value.detach();
    value = flow_asks ? with_gradient(plain, pair.flow, inner.grad()) : plain;
    if (inverse_asks) {
      const at::NoGradGuard no_grad;
      const at::Tensor slope = round_trip.detach().mul(2.0 / static_cast<double>(round_trip.numel()));
      const at::Tensor gradient = to_sampled(slope, inner.detach());
      const at::AutoGradMode on(true);
      value = with_gradient(value, pair.inverse_flow, gradient);
    }
    return value;
  }

  Json options() const override { return write_options(InverseConsistencyOptions{}); }
  Json options_identity() const override { return identity_of(InverseConsistencyOptions{}); }
  std::vector<OptionRow> option_table() const override { return option_rows(InverseConsistencyOptions{}); }
};

}  // namespace

std::unique_ptr<Loss> make_inverse_consistency(const Json& options) {
  InverseConsistencyOptions none;
  read_options(options, none, "/losses/inverse_consistency/options");
  return std::make_unique<InverseConsistency>();
}

}  // namespace regatta::losses
