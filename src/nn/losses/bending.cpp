// Bending energy of the field: squared second derivatives, the mixed ones twice, mean over components and voxels.
// Central differences of central differences, so second derivatives reach two voxels to each side and the border of two
// is left out. On `regularised`. Source: the bending energy of the TransMorph repository.
#include <array>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "nn/fast/field_penalty.hpp"
#include "nn/known_gradient.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::losses {
namespace {

constexpr std::int64_t kReach = 2;
constexpr std::int64_t kSmallest = 2 * kReach + 1;

struct BendingOptions {
  template <class Self, class V>
  static void visit(Self&, V&&) {}
};

/// A neighbour and its part in a second derivative.
struct Tap {
  std::array<std::int64_t, 3> offset;
  double part;
};

/// The second derivative along axes a and b, the difference of differences written out.
std::array<Tap, 4> taps_of(std::size_t a, std::size_t b) {
  std::array<Tap, 4> taps{};
  std::size_t next = 0;
  for (const int first : {-1, 1}) {
    for (const int second : {-1, 1}) {
      Tap& tap = taps[next++];
      tap.offset[a] += first;
      tap.offset[b] += second;
      tap.part = 0.25 * first * second;
    }
  }
  return taps;
}

/// The interior, seen from a neighbour; a view.
at::Tensor shifted(const at::Tensor& field, const Tap& tap) {
  at::Tensor out = field;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    out = out.narrow(2 + axis, kReach + tap.offset[static_cast<std::size_t>(axis)], field.size(2 + axis) - 2 * kReach);
  }
  return out;
}

class Bending final : public Loss {
 public:
  at::Tensor value(const PairState& pair) const override {
    const at::Tensor& field = pair.regularised;
    check_field("bending", field, kSmallest);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_bending(field);
    name_part(is_fast ? Form::kKernel : Form::kReference, "bending energy");
    if (is_fast) {
      return fast::bending(field);
    }
    const bool wanted = needs_gradient(field);
    at::Tensor value;
    at::Tensor gradient;
    {
      const at::NoGradGuard no_grad;
      value = at::zeros({}, field.options());
      gradient = wanted ? at::zeros_like(field) : at::Tensor();
      for (std::size_t a = 0; a < 3; ++a) {
        for (std::size_t b = a; b < 3; ++b) {
          add_derivative(field, taps_of(a, b), a == b ? 1.0 : 2.0, value, gradient);
        }
      }
    }
    return wanted ? with_gradient(value, field, gradient) : value;
  }

  Json options() const override { return write_options(BendingOptions{}); }
  Json options_identity() const override { return identity_of(BendingOptions{}); }
  std::vector<OptionRow> option_table() const override { return option_rows(BendingOptions{}); }

 private:
  static void add_derivative(const at::Tensor& field, const std::array<Tap, 4>& taps, double weight, at::Tensor& value,
                             at::Tensor& gradient) {
    at::Tensor second = shifted(field, taps[0]).mul(taps[0].part);
    for (std::size_t i = 1; i < taps.size(); ++i) {
      second.add_(shifted(field, taps[i]), taps[i].part);
    }
    const double share = weight / static_cast<double>(second.numel());
    value.add_(second.square().sum(), share);
    if (gradient.defined()) {
      for (const Tap& tap : taps) {
        shifted(gradient, tap).add_(second, 2.0 * share * tap.part);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Loss> make_bending(const Json& options) {
  BendingOptions none;
  read_options(options, none, "/losses/bending/options");
  return std::make_unique<Bending>();
}

}  // namespace regatta::losses
