#include "train/objective.hpp"

#include <algorithm>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "regatta/base/error.hpp"
#include "regatta/config/name_table.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta {
namespace {

constexpr auto kSides =
    name_table<Side>({{"forward", Side::kForward}, {"backward", Side::kBackward}, {"halfway", Side::kHalfway}});

std::vector<Side> sides_from(const std::string& loss, const std::vector<std::string>& names) {
  std::vector<Side> sides;
  sides.reserve(names.size());
  for (const std::string& name : names) {
    sides.push_back(kSides.at(name, str("/losses/", loss, "/sides")));
  }
  return sides;
}

/// What the mean over a process's own pairs, or the voxels within their masks, adds to that over the whole batch.
at::Tensor part_of_mean(const at::Tensor& value, const BatchShare& share, bool is_masked, Side side) {
  if (!is_masked) {
    return value.mul(share.of_pairs());
  }
  const bool is_backward = side == Side::kBackward;  // the roles of the two volumes are exchanged
  if (share.of_masks.defined()) {
    return value.mul(share.of_masks.select(0, is_backward ? 1 : 0).to(value.scalar_type()));
  }
  return value.mul(is_backward ? share.of_moving_mask : share.of_fixed_mask);
}

}  // namespace

Objective::Objective(const std::map<std::string, LossTerm>& losses, Backend backend) : backend_(backend) {
  for (const auto& [name, term] : losses) {
    auto loss = make_loss(name, term.options);
    const std::vector<std::string> needs = loss->needs();
    const bool is_masked = std::find(needs.begin(), needs.end(), "masks") != needs.end();
    terms_.push_back({name, term.weight, std::move(loss), sides_from(name, term.sides), is_masked});
  }
}

/// The sum over the term's sides.
at::Tensor Objective::value_of(const Term& term, const PairState& batch, const ModelOutput& output,
                               const BatchShare& share) const {
  const auto seen_from = [&](Side side) {
    try {
      PairState pair = with_output(batch, output, side);
      pair.backend = backend_;
      return pair;
    } catch (const ConfigError& error) {
      throw ConfigError(str("/losses/", term.name, "/sides: ", error.what()));
    }
  };
  at::Tensor sum;
  for (const Side side : term.sides) {
    const PairState pair = seen_from(side);
    const StepPart part(Form::kReference, term.name.c_str());
    at::Tensor value = term.loss->value(pair);
    if (!share.is_whole()) {
      value = part_of_mean(value, share, term.is_masked && pair.fixed_mask.defined(), side);
    }
    sum = sum.defined() ? sum.add(value) : value;
  }
  return sum;
}

ObjectiveValues Objective::values(const PairState& batch, const ModelOutput& output, const BatchShare& share) const {
  ObjectiveValues values;
  for (const Term& term : terms_) {
    if (term.weight == 0.0) {  // seen in the log, without a part in the sum: 0 x NaN is NaN
      const at::NoGradGuard no_gradients;
      values.parts.push_back(value_of(term, batch, output, share));
      continue;
    }
    const at::Tensor part = value_of(term, batch, output, share);
    const at::Tensor weighted = part.mul(term.weight);
    values.total = values.total.defined() ? values.total.add(weighted) : weighted;
    values.parts.push_back(part.detach());
  }
  return values;
}

std::string Objective::why_not_captured() const {
  for (const Term& term : terms_) {
    if (const std::string why = term.loss->why_not_captured(); !why.empty()) {
      return str("loss ", term.name, ": ", why);
    }
  }
  return {};
}

}  // namespace regatta
