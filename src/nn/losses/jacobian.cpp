// Penalty of folding: mean of max(0, -det) where det is the Jacobian determinant of p + flow(p) by forward differences,
// at the voxels that have a successor along each axis. On `flow`. Source: SYMNet ("neg_Jdet_loss").
#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "nn/fast/field_penalty.hpp"
#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

struct JacobianOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

using Row = std::array<at::Tensor, 3>;  // derivatives of one component along D, H, W

/// One component of a field at the voxels that have a successor along each axis, or these along one; a view.
at::Tensor part(const at::Tensor& field, std::int64_t component, std::int64_t successors_along = -1) {
  at::Tensor out = field.select(1, component);  // [N, D, H, W]
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    out = out.narrow(1 + axis, axis == successors_along ? 1 : 0, out.size(1 + axis) - 1);
  }
  return out;
}

Row derivatives(const at::Tensor& field, std::int64_t component) {
  Row row;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    row[static_cast<std::size_t>(axis)] = part(field, component, axis) - part(field, component);
  }
  row[static_cast<std::size_t>(component)].add_(1.0);
  return row;
}

/// Component `axis` of the cross product: the derivative of det(x, y, z) with respect to the same component of x.
at::Tensor cross(const Row& y, const Row& z, std::size_t axis) {
  const std::size_t next = (axis + 1) % 3;
  const std::size_t after = (axis + 2) % 3;
  return y[next].mul(z[after]).addcmul_(y[after], z[next], -1.0);
}

class Jacobian final : public Loss {
 public:
  /// Keeps one field; transient memory: about 15 volumes, with the fast form one field.
  at::Tensor value(const PairState& pair) const override {
    const at::Tensor& field = pair.flow;
    check_field("jacobian", field, 2);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_folding(field);
    name_part(is_fast ? Form::kKernel : Form::kReference, "folding");
    if (is_fast) {
      return fast::folding(field);
    }
    const bool wanted = needs_gradient(field);
    at::Tensor value;
    at::Tensor gradient;
    {
      const at::NoGradGuard no_grad;
      const std::array<Row, 3> rows = {derivatives(field, 0), derivatives(field, 1), derivatives(field, 2)};
      at::Tensor determinant = cross(rows[1], rows[2], 0).mul_(rows[0][0]);
      for (const std::size_t axis : {std::size_t{1}, std::size_t{2}}) {
        determinant.addcmul_(cross(rows[1], rows[2], axis), rows[0][axis]);
      }
      value = determinant.neg().clamp_min_(0.0).mean();
      if (wanted) {
        const double share = -1.0 / static_cast<double>(determinant.numel());
        gradient = gradient_of(field, rows, determinant.lt(0.0).to(field.scalar_type()).mul_(share));
      }
    }
    return wanted ? with_gradient(value, field, gradient) : value;
  }

  Json options() const override { return write_options(JacobianOptions{}); }
  Json options_identity() const override { return identity_of(JacobianOptions{}); }
  std::vector<OptionRow> option_table() const override { return option_rows(JacobianOptions{}); }

 private:
  /// @param slope  d value / d determinant
  static at::Tensor gradient_of(const at::Tensor& field, const std::array<Row, 3>& rows, const at::Tensor& slope) {
    const at::Tensor gradient = at::zeros_like(field);
    for (std::int64_t c = 0; c < 3; ++c) {
      const Row& next = rows[static_cast<std::size_t>((c + 1) % 3)];
      const Row& after = rows[static_cast<std::size_t>((c + 2) % 3)];
      for (std::int64_t axis = 0; axis < 3; ++axis) {
        const at::Tensor to_derivative = cross(next, after, static_cast<std::size_t>(axis)).mul_(slope);
        part(gradient, c, axis).add_(to_derivative);
        part(gradient, c).sub_(to_derivative);
      }
    }
    return gradient;
  }
};

}  // namespace

std::unique_ptr<Loss> make_jacobian(const Json& options) {
  JacobianOptions none;
  read_options(options, none, "/losses/jacobian/options");
  return std::make_unique<Jacobian>();
}

}  // namespace regatta::losses
