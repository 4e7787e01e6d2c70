// What `regatta bench --recipe` measures, at a size that takes no time.
#include "regatta/train/step_benchmark.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

StepBenchmarkOptions small_step(const Json& losses) {
  StepBenchmarkOptions options;
  const Json recipe = {{"schema", 1},
                       {"data", {{"archive", "a.h5"}}},
                       {"model", {{"name", "lkunet"}, {"options", {{"channels", 4}, {"head", "half"}}}}},
                       {"losses", losses},
                       {"train", {{"steps", 1}}}};
  options.recipe = recipe_from_json(recipe, "recipe");
  options.shape = {32, 32, 32};
  options.warmup = 1;
  options.steps = 2;
  options.labels = 5;
  options.run.device = "cpu";
  return options;
}

TEST_CASE("a recipe's step is timed with its network and each of its losses, labels made up where one needs them") {
  const StepTimes times =
      benchmark_step(small_step({{"mse", Json::object()}, {"grad", {{"weight", 0.1}}}, {"dice", Json::object()}}));
  CHECK(times.step_ms.size() == 2);
  REQUIRE(times.loss_ms.size() == 3);
  for (const char* name : {"dice", "grad", "mse"}) {
    INFO(name);
    CHECK(times.loss_ms.at(name).size() == 2);
  }
  CHECK(times.first_loss > 0.3);  // Dice is part of it: labels do not overlap well
  CHECK(times.backend == "reference");
}

TEST_CASE("a loss that needs what made-up heads have not is refused by name") {
  CHECK_THROWS_WITH(benchmark_step(small_step({{"mse", {{"options", {{"masked", true}}}}}})),
                    "/losses/mse: needs masks, which made-up heads have not; give --archive");
}

}  // namespace
}  // namespace regatta
