// Total variation of each component: mean of sqrt(dD^2 + dH^2 + dW^2 + 1e-6) / 3, differences to the predecessor along
// each axis, at the voxels that have all three. Lets a field break at sliding surfaces. On `regularised`.
// Source: "Grad3DiTV" of the TransMorph repository, whose class crashes as written.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

constexpr double kLeastSpread = 1e-6;

struct AnisotropicOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

/// The voxels that have a predecessor along each axis, or their predecessors along one; a view.
at::Tensor inside(const at::Tensor& field, std::int64_t predecessors_along = -1) {
  at::Tensor out = field;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    out = out.narrow(axis, axis == predecessors_along ? 0 : 1, field.size(axis) - 1);
  }
  return out;
}

class Anisotropic final : public Loss {
 public:
  /// Differences are made twice, so that only one is held at a time. Keeps one field; transient: about four.
  at::Tensor value(const PairState& pair) const override {
    const at::Tensor& field = pair.regularised;
    check_field("anisotropic", field, 2);
    const bool wanted = needs_gradient(field);
    at::Tensor value;
    at::Tensor gradient;
    {
      const at::NoGradGuard no_grad;
      const at::Tensor here = inside(field);
      at::Tensor length = at::zeros_like(here);
      for (std::int64_t axis = 2; axis < 5; ++axis) {
        length.add_((here - inside(field, axis)).square_());
      }
      length.add_(kLeastSpread).sqrt_();
      value = length.mean().div_(3.0);
      if (wanted) {
        gradient = at::zeros_like(field);
        const at::Tensor share = length.reciprocal_().div_(3.0 * static_cast<double>(length.numel()));
        for (std::int64_t axis = 2; axis < 5; ++axis) {
          const at::Tensor slope = (here - inside(field, axis)).mul_(share);
          inside(gradient).add_(slope);
          inside(gradient, axis).sub_(slope);
        }
      }
    }
    return wanted ? with_gradient(value, field, gradient) : value;
  }

  Json options() const override { return write_options(AnisotropicOptions{}); }
  Json options_identity() const override { return identity_of(AnisotropicOptions{}); }
  std::vector<OptionRow> option_table() const override { return option_rows(AnisotropicOptions{}); }
};

}  // namespace

std::unique_ptr<Loss> make_anisotropic(const Json& options) {
  AnisotropicOptions none;
  read_options(options, none, "/losses/anisotropic/options");
  return std::make_unique<Anisotropic>();
}

}  // namespace regatta::losses
