// The weighted sum of losses, and the sides that they are taken of.
#include "train/objective.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

at::Tensor constant(double value) {
  return at::full({1, 1, 4, 4, 4}, value, at::dtype(at::kFloat));
}

/// Forward: 1 against 3. Backward: 1 against 2. Halfway: 5 against 5.
std::pair<PairState, ModelOutput> two_directions() {
  PairState batch;
  batch.moving = constant(2.0);
  batch.fixed = constant(3.0);
  ModelOutput output;
  output.warped = constant(1.0);
  output.flow = output.regularised = at::zeros({1, 3, 4, 4, 4}, at::dtype(at::kFloat));
  output.inverse_warped = constant(1.0);
  output.inverse_flow = output.inverse_regularised = output.flow;
  output.halfway_moving = output.halfway_fixed = constant(5.0);
  output.halfway_flow = output.halfway_inverse_flow = output.flow;
  return {batch, output};
}

}  // namespace

TEST_CASE("an objective is the weighted sum of its losses over their sides") {
  const auto [batch, output] = two_directions();
  std::map<std::string, LossTerm> losses;
  losses["mse"] = {.weight = 10.0, .sides = {"forward", "backward"}};
  losses["mae"] = {.weight = 0.0};
  const Objective objective(losses);
  const ObjectiveValues values = objective.values(batch, output);
  REQUIRE(objective.size() == 2);
  CHECK(objective.name(0) == "mae");
  CHECK(values.parts.at(0).item<double>() == Approx(2.0));        // a part, not of the sum
  CHECK(values.parts.at(1).item<double>() == Approx(4.0 + 1.0));  // (1 - 3)^2 + (1 - 2)^2
  CHECK(values.total.item<double>() == Approx(50.0));
  losses["mse"].sides = {"halfway"};
  CHECK(Objective(losses).values(batch, output).total.item<double>() == Approx(0.0));
}

TEST_CASE("an objective refuses a side that there is not") {
  std::map<std::string, LossTerm> losses;
  losses["mse"] = {.sides = {"sideways"}};
  CHECK_THROWS_WITH(Objective(losses), "/losses/mse/sides: unknown value 'sideways', have: forward, backward, halfway");
  const auto [batch, output] = two_directions();
  losses["mse"].sides = {"backward"};
  ModelOutput one_way = output;
  one_way.inverse_flow = at::Tensor();
  CHECK_THROWS_WITH(Objective(losses).values(batch, one_way), Catch::Contains("/losses/mse/sides: 'backward'"));
}
