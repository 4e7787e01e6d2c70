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

}  // namespace

Objective::Objective(const std::map<std::string, LossTerm>& losses, Backend backend) : backend_(backend) {
  for (const auto& [name, term] : losses) {
    terms_.push_back({name, term.weight, make_loss(name, term.options), sides_from(name, term.sides)});
  }
}

/// The sum over the term's sides.
at::Tensor Objective::value_of(const Term& term, const PairState& batch, const ModelOutput& output) const {
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
    const at::Tensor value = term.loss->value(pair);
    sum = sum.defined() ? sum.add(value) : value;
  }
  return sum;
}

ObjectiveValues Objective::values(const PairState& batch, const ModelOutput& output) const {
  ObjectiveValues values;
  for (const Term& term : terms_) {
    if (term.weight == 0.0) {  // seen in the log, without a part in the sum: 0 x NaN is NaN
      const at::NoGradGuard no_gradients;
      values.parts.push_back(value_of(term, batch, output));
      continue;
    }
    const at::Tensor part = value_of(term, batch, output);
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
