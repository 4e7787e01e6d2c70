// Who owns a run's folder, and which recipe may continue in it.
#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/train/run_folder.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

TEST_CASE("a folder has one owner at a time and is free after it") {
  const test::TemporaryFolder folder;
  {
    const RunOwner owner(folder.path());
    CHECK_THROWS_AS(RunOwner(folder.path()), BusyError);
  }
  const RunOwner again(folder.path());
  CHECK(std::filesystem::exists(folder / "owner.json"));
}

TEST_CASE("the folder of a process that is gone is taken over") {
  const test::TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    auto* left_behind = new RunOwner(folder.path());
    ::_exit(left_behind == nullptr ? 1 : 0);  // without its destructor, as after kill -9
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  REQUIRE(std::filesystem::exists(folder / "owner.json"));
  const RunOwner owner(folder.path());
  CHECK_THROWS_AS(RunOwner(folder.path()), BusyError);
}

TEST_CASE("an owner on another host is respected and named") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "owner.json", R"({"host": "node9", "boot": "b", "pid": 77, "start_ticks": 5})");
  try {
    RunOwner owner(folder.path());
    FAIL("took the folder of a process that may live");
  } catch (const BusyError& error) {
    CHECK(std::string(error.what()).find("process 77 of host node9") != std::string::npos);
  }
}

TEST_CASE("a changed experiment is refused with the difference, a changed total is not") {
  const test::TemporaryFolder folder;
  RecipeResolver resolver;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  const TrialFiles files{folder / "run"};
  const ResolvedRecipe born = settle_recipe(files, recipe, resolver, Existing::kContinue);
  CHECK(born.recipe.optim.horizon_epochs == 4);
  recipe.train.steps = 90;
  const ResolvedRecipe longer = settle_recipe(files, recipe, resolver, Existing::kContinue);
  CHECK(longer.hash == born.hash);
  CHECK(longer.steps == 90);
  CHECK(longer.recipe.optim.horizon_epochs == 4);
  recipe.optim.lr = 0.1;
  try {
    settle_recipe(files, recipe, resolver, Existing::kContinue);
    FAIL("accepted another experiment");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()).find("/optim/lr: 0.004 -> 0.1") != std::string::npos);
  }
  const ResolvedRecipe fresh = settle_recipe(files, recipe, resolver, Existing::kForget);
  CHECK(fresh.hash != born.hash);
  CHECK(fresh.recipe.optim.horizon_epochs == 30);
}

TEST_CASE("the number of threads is decided at birth and kept") {
  const test::TemporaryFolder folder;
  RecipeResolver resolver;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  recipe.run.threads = 3;
  const TrialFiles files{folder / "run"};
  settle_recipe(files, recipe, resolver, Existing::kContinue);
  recipe.run.threads = 0;
  CHECK(settle_recipe(files, recipe, resolver, Existing::kContinue).recipe.run.threads == 3);
}

}  // namespace
}  // namespace regatta
