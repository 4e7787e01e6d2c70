// Soft Dice of the fixed labels and the moving ones, warped trilinearly as one volume of zeros and ones per label: one
// minus the mean over labels and pairs. Label values are indices 0 .. label_count - 1; other values belong to no label.
// A label that is in neither volume has Dice 0, as in the references: a constant without gradient. A batch without
// label maps has the value 0 and no gradient, so that sets where only some subjects have labels can be trained on.
// Source: the Dice losses of TransMorph and LKU-Net (squares), VoxelMorph and the ACDC baselines of MEM (sums).
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "nn/fast/soft_dice.hpp"
#include "nn/known_gradient.hpp"
#include "nn/losses/absent.hpp"
#include "nn/shapes.hpp"
#include "regatta/config/options.hpp"
#include "regatta/nn/forms.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::losses {
namespace {

constexpr double kFloor = 1e-5;
constexpr const char* kSquares = "squares";
constexpr const char* kSums = "sums";

struct DiceOptions {
  std::string denominator = kSquares;
  bool background = true;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("denominator", s.denominator,
      "squares: sum of squared memberships + 1e-5, as TransMorph and LKU-Net; sums: sum of memberships, at least 1e-5, "
      "as VoxelMorph",
      one_of({kSquares, kSums}));
    v("background", s.background, "label 0 counts as the others do");
  }
};

/// Sum over a pair's voxels, to be broadcast over them. @return [N, 1, 1, 1, 1]
at::Tensor sum_per_pair(const at::Tensor& volumes) {
  return volumes.sum({1, 2, 3, 4}, true);
}

class Dice final : public Loss {
 public:
  explicit Dice(const DiceOptions& options) : options_(options) {}

  /// By reference one label at a time: each one's derivative needs its own sums only. Keeps one field; transient
  /// memory: about 15 volumes, however many labels; none with the fast form.
  at::Tensor value(const PairState& pair) const override {
    check_field("dice", pair.flow, 2);
    if (!pair.fixed_labels.defined() || !pair.moving_labels.defined()) {
      return nothing_to_compare(pair.flow);
    }
    check_labels(pair);
    const bool is_fast = pair.backend == Backend::kFast && fast::has_soft_dice(pair);
    name_part(is_fast ? Form::kKernel : Form::kReference,
              pair.label_count > fast::kMostLabels ? "Dice of more than 255 labels" : "Dice");
    if (is_fast) {
      return fast::soft_dice(pair, options_.denominator == kSquares, options_.background);
    }
    return by_label(pair);
  }

  Json options() const override { return write_options(options_); }
  Json options_identity() const override { return identity_of(options_); }
  std::vector<OptionRow> option_table() const override { return option_rows(options_); }
  std::vector<std::string> needs() const override { return {"labels"}; }

 private:
  at::Tensor by_label(const PairState& pair) const {
    const bool wanted = needs_gradient(pair.flow);
    const at::Tensor flow = pair.flow.detach().set_requires_grad(wanted);
    const std::int64_t first = options_.background ? 0 : 1;
    const auto terms = static_cast<double>((pair.label_count - first) * flow.size(0));
    at::Tensor total = at::zeros({}, flow.options());
    for (std::int64_t label = first; label < pair.label_count; ++label) {
      const at::Tensor one_hot = pair.moving_labels.eq(label).to(flow.scalar_type());
      const at::Tensor warped = warp(one_hot, flow);
      const at::NoGradGuard no_grad;
      at::Tensor slope;
      const at::Tensor dice = dice_of(pair.fixed_labels.eq(label), warped.detach(), wanted ? &slope : nullptr);
      total.add_(dice.sum());
      if (wanted) {
        warped.backward(slope.div_(-terms));
      }
    }
    const at::Tensor value = total.div_(terms).neg_().add_(1.0);
    return wanted ? with_gradient(value, pair.flow, flow.grad()) : value;
  }

  void check_labels(const PairState& pair) const {
    const at::Tensor& fixed = pair.fixed_labels;
    const at::Tensor& moving = pair.moving_labels;
    const bool fits = fixed.dim() == 5 && fixed.size(0) == pair.flow.size(0) && fixed.size(1) == 1 &&
                      fixed.sizes().slice(2) == pair.flow.sizes().slice(2) && fixed.sizes() == moving.sizes();
    REGATTA_REQUIRE(fits, DataError, "dice: labels ", shape_text(fixed), " and ", shape_text(moving),
                    ", expected both [N, 1, D, H, W] on the grid of the field, ", shape_text(pair.flow));
    const std::int64_t fewest = options_.background ? 1 : 2;
    REGATTA_REQUIRE(pair.label_count >= fewest, DataError, "dice: ", pair.label_count,
                    " label values, expected at least ", fewest);
  }

  /// @param fixed   [N, 1, D, H, W], true in the label
  /// @param warped  [N, 1, D, H, W], membership in 0..1
  /// @param slope   where not null, becomes d dice / d warped
  /// @return [N, 1, 1, 1, 1]
  at::Tensor dice_of(const at::Tensor& fixed, const at::Tensor& warped, at::Tensor* slope) const {
    const bool squares = options_.denominator == kSquares;
    const at::Tensor common = sum_per_pair(warped * fixed);
    at::Tensor size = sum_per_pair(squares ? warped.square() : warped) + sum_per_pair(fixed.to(warped.scalar_type()));
    size = squares ? size.add_(kFloor) : size.clamp_min_(kFloor);
    const at::Tensor dice = common.mul(2.0).div_(size);
    if (slope != nullptr) {
      const at::Tensor shrink = dice.div(size);  // d dice / d size, negated
      *slope = (squares ? warped.mul(2.0).mul_(shrink) : shrink.mul(size.gt(kFloor)).expand(warped.sizes()))
                   .neg()
                   .add_(fixed.to(warped.scalar_type()).mul_(size.reciprocal().mul_(2.0)));
    }
    return dice;
  }

  DiceOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_dice(const Json& options) {
  DiceOptions chosen;
  read_options(options, chosen, "/losses/dice/options");
  return std::make_unique<Dice>(chosen);
}

}  // namespace regatta::losses
