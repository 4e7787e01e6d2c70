// Smoothness of the field: forward differences, squared (diffusion) or absolute, the mean per axis averaged over the
// three axes. On `regularised`, which is the velocity for a diffeomorphic network.
// Source: "Grad3d" of the TransMorph repository, "Grad" of VoxelMorph; units "lku": "smoothloss" of LKU-Net and
// Fourier-Net.
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/fast/fields.hpp"
#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct GradOptions {
  std::string penalty = "l2";
  std::string units = "voxels";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("penalty", s.penalty, "l2: squared differences; l1: absolute ones", one_of({"l1", "l2"}));
    v("units", s.units,
      "units of the differences: voxels; lku: those of the field in [-1, 1] times half the size along the differences' "
      "axis, "
      "as LKU-Net and Fourier-Net weigh them",
      one_of({"voxels", "lku"}));
  }
};

class Grad final : public Loss {
 public:
  explicit Grad(const GradOptions& options) : options_(options) {}

  /// One autograd node: LibTorch's own graph of slices would write six zero-filled fields.
  at::Tensor value(const PairState& pair) const override {
    const at::Tensor& field = pair.regularised;
    check_field("grad", field, 2);
    const bool voxels = options_.units == "voxels";
    const bool is_fast = pair.backend == Backend::kFast && fast::has_diffusion(field);
    name_part(is_fast ? Form::kKernel : Form::kReference, voxels ? "diffusion" : "diffusion in LKU units");
    if (is_fast) {
      return fast::diffusion(field, options_.penalty == "l2", !voxels);
    }
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
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }

 private:
  void add_axis(const at::Tensor& field, std::int64_t axis, at::Tensor& value, at::Tensor& gradient) const {
    const std::int64_t steps = field.size(axis) - 1;
    at::Tensor difference = field.narrow(axis, 1, steps) - field.narrow(axis, 0, steps);
    scale_(difference, field, axis);
    const double share = 1.0 / (3.0 * static_cast<double>(difference.numel()));
    const bool squared = options_.penalty == "l2";
    value.add_((squared ? difference.square() : difference.abs()).sum(), share);
    if (gradient.defined()) {
      at::Tensor slope = squared ? difference.mul_(2.0) : difference.sign_();
      scale_(slope, field, axis);
      gradient.narrow(axis, 1, steps).add_(slope, share);
      gradient.narrow(axis, 0, steps).sub_(slope, share);
    }
  }

  /// Component c of a field in [-1, 1] is 2 / (N_c - 1) of its voxels; LKU-Net multiplies differences by N_axis / 2.
  void scale_(at::Tensor& differences, const at::Tensor& field, std::int64_t axis) const {
    if (options_.units == "voxels") {
      return;
    }
    for (std::int64_t c = 0; c < 3; ++c) {
      differences.select(1, c).mul_(static_cast<double>(field.size(axis)) / static_cast<double>(field.size(2 + c) - 1));
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
