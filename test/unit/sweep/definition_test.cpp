// What a sweep is: resolving, identity, opening again, planned trials.
#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/definition.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using test::FakeDescriber;
using test::small_job;

namespace {

SweepDefinition define(const JobOptions& job) {
  FakeDescriber describer;
  return define_sweep(job, describer);
}

std::string refusal(const JobOptions& job) {
  try {
    define(job);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a job is resolved with the describer's one answer") {
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  CHECK(describer.calls == 1);
  CHECK(definition.trials == 6);
  CHECK(definition.job.objective.direction == "maximise");
  CHECK(*find_pointer(definition.job.recipe, "/optim/schedule") == "poly");
  CHECK(rules_of(definition).metric == "dice");
  CHECK(rules_of(definition).maximise);
}

TEST_CASE("where folds are an axis the base recipe is described with the first trial's") {
  JobOptions job = small_job();
  job.axes[kFoldAxis].list = {3, 4};
  const SweepDefinition definition = define(job);
  CHECK(*find_pointer(definition.base.resolved, kFoldAxis) == 3);
  CHECK(*find_pointer(definition.job.recipe, kFoldAxis) == -1);
}

TEST_CASE("totals, budgets, resources, paths and defaults written out leave the identity alone") {
  const std::string born = define(small_job()).hash;
  JobOptions job = small_job();
  job.trials = 3;
  job.name = "another";
  job.max_attempts = 9;
  job.threads_per_trial = 2;
  job.objective.direction = "maximise";
  set_pointer(job.recipe, "/data/archive", "/elsewhere/brains.h5");
  job.recipe["optim"] = {{"lr", 1e-4}};
  job.recipe["checkpoint"] = {{"every_s", 10}};
  CHECK(define(job).hash == born);
}

TEST_CASE("what is computed changes the identity") {
  const std::string born = define(small_job()).hash;
  const std::vector<std::function<void(JobOptions&)>> changes = {
      [](JobOptions& job) { job.seed = 1; },
      [](JobOptions& job) { job.replicates = 2; },
      [](JobOptions& job) { job.axes["/optim/lr"].points = 3; },
      [](JobOptions& job) { job.axes.erase("/optim/lr"); },
      [](JobOptions& job) { job.objective.direction = "minimise"; },
      [](JobOptions& job) { set_pointer(job.recipe, "/train/epochs", 3); },
      [](JobOptions& job) { set_pointer(job.recipe, "/losses/ncc/options/window", 9); }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    JobOptions job = small_job();
    changes[i](job);
    INFO(i);
    CHECK(define(job).hash != born);
  }
  FakeDescriber other_data;
  other_data.fingerprint = "beef";
  CHECK(define_sweep(small_job(), other_data).hash != born);
}

TEST_CASE("wrong objectives, axes and recipes are refused before anything starts") {
  JobOptions job = small_job();
  job.objective.metric = "hd95";
  CHECK(refusal(job) == "/objective/metric: 'hd95' is not measured by the recipe, have: dice, folding, ncc");
  job.objective.metric = "ncc";
  CHECK(refusal(job).find("the recipe's /validation/best is 'dice'") != std::string::npos);
  job = small_job();
  job.axes["/optim/rate"].list = {1};
  CHECK(refusal(job).find("'/optim/rate': no such option") == 0);
  job = small_job();
  job.recipe["optim"] = {{"lr", 0.9}};
  CHECK(refusal(job) == "/recipe: /optim/lr: refused by the model");
}

TEST_CASE("job.json reads back as it was written and notices changes by hand") {
  const SweepDefinition definition = define(small_job());
  const Json text = to_json(definition);
  const SweepDefinition again = definition_from_json(text, "job.json");
  CHECK(to_json(again) == text);
  Json changed = text;
  changed["identity"]["seed"] = 5;
  CHECK_THROWS_WITH(definition_from_json(changed, "job.json"), Catch::Contains("changed by hand"));
  changed = text;
  changed["schema"] = 2;
  CHECK_THROWS_WITH(definition_from_json(changed, "job.json"), "job.json: schema 2, this build reads 1");
  changed = text;
  changed.erase("base");
  CHECK_THROWS_WITH(definition_from_json(changed, "job.json"), Catch::Contains("'base' is missing"));
}

TEST_CASE("a new folder is created once, the same job opens it again, also with other totals") {
  const test::TemporaryFolder folder;
  const SweepFiles files{folder / "sweep"};
  JobOptions job = small_job();
  job.trials = 4;
  const OpenedSweep created = create_or_open(files, define(job));
  CHECK(created.created);
  CHECK(created.asked.trials == 4);
  CHECK(std::filesystem::is_directory(files.claims()));
  const std::string text = read_file(files.job());
  job.trials = 6;
  job.max_attempts = 5;
  const OpenedSweep opened = create_or_open(files, define(job));
  CHECK_FALSE(opened.created);
  CHECK(opened.asked.trials == 6);
  CHECK(opened.definition.trials == 4);
  CHECK(opened.definition.job.max_attempts == 5);
  CHECK(read_file(files.job()) == text);
  CHECK(read_definition(files).trials == 4);
}

TEST_CASE("a changed experiment is refused with the difference shown") {
  const test::TemporaryFolder folder;
  const SweepFiles files{folder.path()};
  create_or_open(files, define(small_job()));
  JobOptions job = small_job();
  set_pointer(job.recipe, "/train/epochs", 3);
  set_pointer(job.recipe, "/losses/ncc/options/window", 9);
  job.axes["/optim/lr"].points = 5;
  try {
    create_or_open(files, define(job));
    FAIL("accepted");
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    CHECK(text.find("/steps: 20 -> 30") != std::string::npos);
    CHECK(text.find("/recipe/losses/ncc/options/window: 5 -> 9") != std::string::npos);
    CHECK(text.find("/axes/~1optim~1lr/points: 2 -> 5") != std::string::npos);
    CHECK(text.find("seed") == std::string::npos);
  }
}

TEST_CASE("a folder that is no sweep says so") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH(read_definition({folder.path()}), Catch::Contains("not a sweep"));
}

TEST_CASE("planned trials are resolved in one call and refusals name the trial") {
  FakeDescriber describer;
  SweepDefinition definition = define_sweep(small_job(), describer);
  auto plans = plan_trials(definition, 2, 3, describer);
  CHECK(describer.calls == 2);
  REQUIRE(plans.size() == 3);
  CHECK(plans[0].trial.number == 2);
  CHECK(plans[0].seed == 7);
  CHECK(*find_pointer(plans[0].description.resolved, "/losses/grad/weight") == 1);
  CHECK(plans[0].description.hash != plans[1].description.hash);
  CHECK(plan_trials(definition, 0, 0, describer).empty());
  definition.job.axes["/optim/lr"].log = {1e-4, 1.0};
  CHECK_THROWS_WITH(plan_trials(definition, 0, 6, describer),
                    "trial 1 (weight 0.5  lr 1.0): /optim/lr: refused by the model");
}

TEST_CASE("a trial's recipe is written once and another training is refused in its place") {
  const test::TemporaryFolder folder;
  FakeDescriber describer;
  const SweepDefinition definition = define_sweep(small_job(), describer);
  const SweepFiles files{folder.path()};
  auto plans = plan_trials(definition, 0, 2, describer);
  write_trial_recipe(files.trial(0), plans[0]);
  write_trial_recipe(files.trial(0), plans[0]);
  CHECK(read_json(files.trial(0).recipe()) == plans[0].description.resolved);
  CHECK_THROWS_WITH(write_trial_recipe(files.trial(0), plans[1]),
                    Catch::Contains("trial 1 began as another training: /optim/lr: (default) -> 0.01"));
  set_pointer(plans[0].description.resolved, "/data/archive", "/moved/brains.h5");
  write_trial_recipe(files.trial(0), plans[0]);
  CHECK(*find_pointer(read_json(files.trial(0).recipe()), "/data/archive") == "/moved/brains.h5");
}

TEST_CASE("settings go into the base recipe, not over an axis") {
  JobOptions job = small_job();
  apply_settings(job, {"/train/epochs=9", "/model/name=voxelmorph-1", "/losses/ncc/options/window=7"});
  CHECK(*find_pointer(job.recipe, "/train/epochs") == 9);
  CHECK(*find_pointer(job.recipe, "/model/name") == "voxelmorph-1");
  CHECK(*find_pointer(job.recipe, "/losses/ncc/options/window") == 7);
  CHECK_THROWS_WITH(apply_settings(job, {"/optim/lr=1"}), "--set /optim/lr: is an axis of this job");
  apply_settings(job, {"/data/archive=brains.h5"});
  CHECK(find_pointer(job.recipe, "/data/archive")->get<std::string>() ==
        std::filesystem::absolute("brains.h5").string());
  CHECK_THROWS_WITH(apply_settings(job, {"lr"}), Catch::Contains("expected POINTER=VALUE"));
  CHECK_THROWS_WITH(apply_settings(job, {"/optim/rate=1"}), Catch::Contains("no such option"));
}
