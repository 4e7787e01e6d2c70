// What `regatta plan` prints.
#include "fakes.hpp"
#include "regatta/sweep/plan_table.hpp"
#include "support/catch.hpp"

using namespace regatta;
using test::FakeDescriber;
using test::small_job;

TEST_CASE("the plan's text has a row a trial and the totals") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  const auto plans = plan_trials(definition, 0, definition.trials, describer);
  const std::string text = plan_text(definition, plans);
  CHECK(text.find("trial   weight  lr      seed  parameters  steps  memory\n"
                  "t00000  0.5     0.0001  7     1000        20     1.0 MiB\n"
                  "t00001  0.5     0.01    7     1000        20     1.0 MiB\n") != std::string::npos);
  CHECK(text.find("t00005  2       0.01") != std::string::npos);
  CHECK(text.find("6 trials, 120 steps") != std::string::npos);
  CHECK(text.find("sampler grid (of: grid, random)") != std::string::npos);
  CHECK(text.find("fingerprint f00d") != std::string::npos);
}

TEST_CASE("disk follows the retention rule") {
  FakeDescriber describer;
  JobOptions job = small_job();
  job.recipe["checkpoint"] = {{"keep", 2}};
  const SweepDefinition definition = define_sweep(job, describer);
  const PlanTotals totals = plan_totals(plan_trials(definition, 0, 6, describer));
  CHECK(totals.kept_bytes == 6 * 4000);
  CHECK(totals.running_bytes == 3 * 4 * 4000 + 4000);
  CHECK(totals.most_device_bytes == 1 << 20);
}

TEST_CASE("the plan's JSON has every resolved recipe") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  const Json plan = plan_json(definition, plan_trials(definition, 0, 6, describer));
  CHECK(plan.at("totals").at("trials") == 6);
  REQUIRE(plan.at("trials").size() == 6);
  CHECK(plan.at("trials")[3].at("point").at("/losses/grad/weight") == 1);
  CHECK(*find_pointer(plan.at("trials")[3], "/recipe/optim/lr") == 0.01);
  CHECK(plan.at("samplers").contains("random"));
}

TEST_CASE("the models are a table") {
  const Json answer = {
      {"models", {{{"name", "voxelmorph-2"}, {"parameters", 301411}, {"size_multiple", 16}, {"help", "two"}}}}};
  CHECK(models_text(answer) == "model         parameters  sizes  \nvoxelmorph-2  301411      x16    two\n");
  CHECK_THROWS_WITH(models_text(Json::array()), Catch::Contains("expected {\"models\": [...]}"));
  CHECK_THROWS_WITH(models_text({{"models", {{{"name", "x"}}}}}), Catch::Contains("a model without 'parameters'"));
}
