// What `regatta bench step --recipe` measures, at a size that takes no time.
#include "regatta/train/step_benchmark.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"
#include "train/benchmark_parts.hpp"

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

TEST_CASE("what validation measures of a pair is timed beside inference, each metric alone and all together") {
  const StepTimes times = benchmark_step(small_step({{"mse", Json::object()}}));
  CHECK(times.inference_ms.size() == 2);
  CHECK(times.uncaptured_inference_ms.size() == 2);
  CHECK_FALSE(times.inference_captured);  // on the CPU
  CHECK(times.validation.together_ms.size() == 2);
  REQUIRE(times.validation.metric_ms.size() == 7);
  for (const auto& [name, milliseconds] : times.validation.metric_ms) {
    INFO(name);
    CHECK(milliseconds.size() == 2);
    CHECK(milliseconds.front() > 0.0);
  }
  CHECK(times.validation.from_reference.empty());  // it is the reference
}

TEST_CASE("made-up structures are compact, one for each label, and the moving ones lie some voxels off") {
  PairState pair = head_pair({32, 40, 24}, 1, at::Device(at::kCPU));
  pair.fixed.fill_(1.0);
  add_structures_(pair, 9);
  CHECK(pair.label_count == 9);
  CHECK(pair.fixed_labels.min().item<int>() == 1);
  for (std::int64_t label = 1; label < 9; ++label) {
    CHECK(pair.fixed_labels.eq(label).sum().item<std::int64_t>() == 16 * 20 * 12);  // a box, an eighth of the volume
  }
  CHECK_FALSE(pair.fixed_labels.equal(pair.moving_labels));
  CHECK(pair.fixed_labels.eq(pair.moving_labels).sum().item<double>() > 0.6 * 32 * 40 * 24);
}

TEST_CASE("a loss that needs what made-up heads have not is refused by name") {
  CHECK_THROWS_WITH(benchmark_step(small_step({{"mse", {{"options", {{"masked", true}}}}}})),
                    "/losses/mse: needs masks, which made-up heads have not; give --archive");
}

}  // namespace
}  // namespace regatta
