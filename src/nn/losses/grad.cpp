// Smoothness of the field: forward differences, squared (diffusion) or absolute, the mean per axis averaged over the
// three axes. On `regularised`, which is the velocity for a diffeomorphic network.
// Source: "Grad3d" of the TransMorph repository, "Grad" of VoxelMorph.
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct GradOptions {
  std::string penalty = "l2";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("penalty", s.penalty, "l2: squared differences; l1: absolute ones", one_of({"l1", "l2"}));
  }
};

class Grad final : public Loss {
 public:
  explicit Grad(const GradOptions& options) : options_(options) {}

  /// One autograd node: LibTorch's own graph of slices would write six zero-filled fields.
  at::Tensor value(const PairState& pair) const override {
    const at::Tensor& field = pair.regularised;
    check_field("grad", field, 2);
    const bool wanted = needs_gradient(field);
    at::Tensor value;
    at::Tensor gradient;
    {
      const at::NoGradGuard no_grad;
      value = at::zeros({}, field.options());
      gradient = wanted ? at::zeros_like(field) : at::Tensor();
      for (std::int64_t axis = 2; axis < 5; ++axis) {
        add_axis(field, axis, value, gradient);
      }
    }
    return wanted ? with_gradient(value, field, gradient) : value;
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }

 private:
  void add_axis(const at::Tensor& field, std::int64_t axis, at::Tensor& value, at::Tensor& gradient) const {
    const std::int64_t steps = field.size(axis) - 1;
    at::Tensor difference = field.narrow(axis, 1, steps) - field.narrow(axis, 0, steps);
    const double share = 1.0 / (3.0 * static_cast<double>(difference.numel()));
    const bool squared = options_.penalty == "l2";
    value.add_((squared ? difference.square() : difference.abs()).sum(), share);
    if (gradient.defined()) {
      const at::Tensor slope = squared ? difference.mul_(2.0) : difference.sign_();
      gradient.narrow(axis, 1, steps).add_(slope, share);
      gradient.narrow(axis, 0, steps).sub_(slope, share);
    }
  }

  GradOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_grad(const Json& options) {
  GradOptions chosen;
  read_options(options, chosen, "/losses/grad/options");
  return std::make_unique<Grad>(chosen);
}

}  // namespace regatta::losses
