// Times of a recipe's own training, as `regatta plan --measure` asks for them.
#include "regatta/train/training_benchmark.hpp"

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

TEST_CASE("steps, a validation and loading of a recipe are timed, and nothing is written") {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = test::write_scene(folder.path());
  const Recipe recipe = test::scene_recipe(path);
  RecipeResolver resolver;
  const ResolvedRecipe resolved = resolver.resolve(recipe);
  const auto files = [&] { return std::distance(std::filesystem::recursive_directory_iterator(folder.path()), {}); };
  const auto before = files();
  const TrainingTimes times = benchmark_training(resolved, resolver.archive(resolved.recipe.data.archive), 2);
  CHECK(times.device == "cpu");
  CHECK(times.step_ms > 0.0);
  CHECK(times.validation_pair_ms > 0.0);
  CHECK(times.load_s > 0.0);
  CHECK(files() == before);
}

}  // namespace
}  // namespace regatta
