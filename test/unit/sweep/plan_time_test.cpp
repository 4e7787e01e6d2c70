// How long a planned sweep takes.
#include "regatta/sweep/plan_time.hpp"

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta {
namespace {

using Catch::Contains;

/// 20 steps, 10 steps an epoch, 2 epochs: validations at the start and after each epoch.
std::vector<TrialPlan> small_plans() {
  test::FakeDescriber describer;
  const SweepDefinition definition = define_sweep(test::small_job(), describer);
  std::vector<TrialPlan> plans = plan_trials(definition, 0, definition.trials, describer);
  for (TrialPlan& plan : plans) {
    plan.description.data["val_pairs"] = 4;
    plan.description.data["shape"] = {10, 20, 30};
  }
  return plans;
}

TEST_CASE("a training takes its loading, its steps and all pairs of its validations") {
  std::vector<TrialPlan> plans = small_plans();
  CHECK(training_s(plans[0], {500.0, 250.0, 7.0}) == Approx(7.0 + 20 * 0.5 + 3 * 4 * 0.25));
  plans[0].description.resolved["validation"]["at_start"] = false;
  plans[0].description.resolved["validation"]["every_epochs"] = 5;  // at the end alone
  CHECK(training_s(plans[0], {500.0, 250.0, 7.0}) == Approx(7.0 + 20 * 0.5 + 4 * 0.25));
}

TEST_CASE("trials that differ in rates, weights and length cost the same per step; other networks and windows do not") {
  const std::vector<TrialPlan> plans = small_plans();
  const Json first = cost_key(plans[0].description.resolved);
  for (const TrialPlan& plan : plans) {
    CHECK(cost_key(plan.description.resolved) == first);
  }
  const auto changed = [&](const char* pointer, const Json& value) {
    Json recipe = plans[0].description.resolved;
    set_pointer(recipe, pointer, value);
    return cost_key(recipe);
  };
  CHECK(changed("/train/steps", 77) == first);
  CHECK(changed("/train/batch", 2) != first);
  CHECK(changed("/model/name", "lkunet") != first);
  CHECK(changed("/losses/ncc/options", {{"window", 9}}) != first);
}

TEST_CASE("trials are begun as places become free") {
  CHECK(makespan_s({3, 1, 1, 1}, 2) == 3.0);
  CHECK(makespan_s({1, 1, 1, 3}, 2) == 4.0);
  CHECK(makespan_s({1, 2}, 8) == 2.0);
}

TEST_CASE("the forecast says hours in all and how long that is with more GPUs") {
  PlanTime time;
  time.device = "NVIDIA H200";
  time.source = "5 steps measured here";
  time.trial_s = {3600.0, 3600.0, 7200.0};
  CHECK(plan_time_text(time) ==
        "time    1 h 00 min to 2 h 00 min per trial, 4 GPU-hours for all on NVIDIA H200 (5 steps measured here): "
        "4 h 00 min with 1 GPU, 2 h 00 min with 4\n");
  time.trial_s[2].reset();
  time.device = "cpu";
  CHECK(plan_time_text(time) ==
        "time    1 h 00 min per trial, 2 h 00 min for 2 of 3 trials, one at a time on this CPU (5 steps measured "
        "here)\n");
  time.device = "NVIDIA H200";
  time.trial_s = {3.0};
  CHECK_THAT(plan_time_text(time), Contains("less than 0.01 GPU-hours for all on NVIDIA H200"));
}

TEST_CASE("figures of `bench networks` hold for the same network, by its voxels") {
  std::vector<TrialPlan> plans = small_plans();
  const Json row = {{"model", "voxelmorph-2"},
                    {"parameters", 1000},
                    {"step_ms", {{"median", 100.0}}},
                    {"inference_ms", {{"median", 10.0}}}};
  const Json bench = {{"device", "NVIDIA H200"}, {"size", "20x20x30"}, {"rows", {row}}};
  const PlanTime time = time_from_bench(bench, "bench.json", plans);
  CHECK(time.device == "NVIDIA H200");
  CHECK(time.is_whole());
  CHECK(*time.trial_s[0] == Approx(20 * 0.05 + 3 * 4 * 0.005));
  plans[1].description.parameters = 5;  // the same network with other options
  const PlanTime part = time_from_bench(bench, "bench.json", plans);
  CHECK_FALSE(part.trial_s[1]);
  REQUIRE(part.notes.size() == 1);
  CHECK_THAT(part.notes[0], Contains("'voxelmorph-2' with 5 parameters"));
  CHECK_THROWS_AS(time_from_bench(Json::object(), "x", plans), DataError);
}

}  // namespace
}  // namespace regatta
