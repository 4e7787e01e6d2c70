// What `regatta plan` prints.
#include "fakes.hpp"
#include "regatta/sweep/plan_table.hpp"
#include "support/catch.hpp"

using namespace regatta;
using test::FakeDescriber;
using test::small_job;

TEST_CASE("the plan's text has a row per trial and the totals") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  const auto plans = plan_trials(definition, 0, definition.trials, describer);
  const std::string text = plan_text(definition, plans);
  CHECK(text.find("trial   weight  lr      seed  parameters  steps  memory\n"
                  "t00000  0.5     0.0001  7     1000        20     1.0 MiB\n"
                  "t00001  0.5     0.01    7     1000        20     1.0 MiB\n") != std::string::npos);
  CHECK(text.find("t00005  2       0.01") != std::string::npos);
  CHECK(
      text.find("\n6 trials, 120 steps in all\n"
                "memory  up to 1.0 MiB on the GPU per trial; 512.0 KiB if the volumes are streamed, which is automatic "
                "where they do not fit (/run/data)\n"
                "disk    23.4 KiB in about 60 files at the end; until then up to ") != std::string::npos);
  CHECK(text.find("\ntime    not known; --measure trains a few steps here") != std::string::npos);
  CHECK(text.find("sampler grid (available: grid, random, sobol, tpe)") != std::string::npos);
  CHECK(text.find("fingerprint f00d") != std::string::npos);
}

TEST_CASE("the plan says by which backend it is priced, and per kind of trial what runs by reference") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  auto plans = plan_trials(definition, 0, definition.trials, describer);
  const std::string priced = "memory and backend: auto is priced as fast (GPUs of compute capability 8.0 and above)\n";
  CHECK(plan_text(definition, plans).find("\nbackend ") == std::string::npos);  // the engine did not say it
  for (TrialPlan& plan : plans) {
    plan.description.backend = "fast, all 16 parts";
  }
  CHECK(plan_text(definition, plans).find("\nbackend fast, all 16 parts\n        " + priced + "disk ") !=
        std::string::npos);
  plans[1].description.backend = "fast, 1 of 16 parts by reference: NCC with masks";
  CHECK(plan_text(definition, plans)
            .find("\nbackend 5 trials from t00000: fast, all 16 parts\n"
                  "        t00001: fast, 1 of 16 parts by reference: NCC with masks\n        " +
                  priced) != std::string::npos);
  CHECK(plan_json(definition, plans).at("trials")[1].at("backend") == plans[1].description.backend);
  for (TrialPlan& plan : plans) {
    plan.description.backend = "reference";
  }
  CHECK(plan_text(definition, plans).find("\nbackend reference\ndisk ") != std::string::npos);
}

TEST_CASE("a forecast of time is a column and a line of the plan") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  const auto plans = plan_trials(definition, 0, definition.trials, describer);
  PlanTime time;
  time.device = "cpu";
  time.source = "5 steps measured here";
  time.trial_s = {90.0, 90.0, 90.0, 90.0, 90.0, std::nullopt};
  time.notes = {"time: why"};
  const std::string text = plan_text(definition, plans, time);
  CHECK(text.find("t00000  0.5     0.0001  7     1000        20     1.0 MiB  1 min 30 s\n") != std::string::npos);
  CHECK(text.find("20     1.0 MiB  ?\n") != std::string::npos);
  CHECK(text.find("\ntime    1 min 30 s per trial, 7 min 30 s for 5 of 6 trials, one at a time on this CPU") !=
        std::string::npos);
  CHECK(text.find("\nnote: time: why\n") != std::string::npos);
  CHECK(plan_json(definition, plans, time).at("time").at("sum_s") == 450.0);
  CHECK(plan_json(definition, plans).at("time").is_null());
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

TEST_CASE("the models are a table, and one that does not take the size says so") {
  const Json fits = {{"name", "voxelmorph-2"},       {"parameters", 301411},
                     {"mul_adds", 398814904320.0},   {"mul_adds_published", 398814904320.0},
                     {"training_bytes", 5368709120}, {"inference_bytes", 1073741824},
                     {"size_multiple", 16},          {"help", "two"}};
  const Json refuses = {
      {"name", "wide"}, {"parameters", 7}, {"size_multiple", 64}, {"help", "w"}, {"error", "wide: 160"}};
  const std::string text = models_text({{"size", {160, 192, 224}}, {"models", {fits, refuses}}});
  CHECK(text.find("one pair of 160x192x224") == 0);
  CHECK(text.find("network       parameters  mul-adds  published  training  inference  sizes  \n"
                  "voxelmorph-2  301411      398.81 G  398.81 G   5.0 GiB   1.0 GiB    x16    two\n"
                  "wide          7           -         -          -         -          x64    not at this size: wide: "
                  "160\n") != std::string::npos);
  CHECK_THROWS_WITH(models_text(Json::array()), Catch::Contains("expected {\"size\": [D, H, W], \"models\": [...]}"));
  CHECK_THROWS_WITH(models_text({{"size", {1, 1, 1}}, {"models", {{{"name", "x"}}}}}),
                    Catch::Contains("a model without 'parameters'"));
}
