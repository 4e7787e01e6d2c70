// The forecast against what was measured on a GPU, and how it grows.
#include "regatta/train/memory_forecast.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

TEST_CASE("the forecast is within 15 % of the peak measured for VoxelMorph-2 at 160x192x224") {
  const test::TemporaryFolder folder;
  RecipeResolver resolver;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  recipe.model = {"voxelmorph-2", Json::object()};
  recipe.losses = {{"ncc", {}}, {"grad", {}}};
  ResolvedRecipe resolved = resolver.resolve(recipe);
  resolved.data.shape = {160, 192, 224};
  resolved.data.resident_bytes = 0;
  MemoryForecast forecast;
  constexpr double kMeasured = 5250509824.0;  // docs/benchmarks/h200-voxelmorph-2-step.json
  CHECK(static_cast<double>(forecast.bytes(resolved)) == Approx(kMeasured).epsilon(0.15));
}

TEST_CASE("the forecast grows with batch, volumes and moments") {
  const test::TemporaryFolder folder;
  RecipeResolver resolver;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  MemoryForecast forecast;
  const ResolvedRecipe one = resolver.resolve(recipe);
  recipe.train.batch = 2;
  const ResolvedRecipe two = resolver.resolve(recipe);
  recipe.optim.amsgrad = false;
  const ResolvedRecipe plain = resolver.resolve(recipe);
  const std::int64_t fixed_part = one.data.resident_bytes + 20 * one.parameters;
  CHECK(forecast.bytes(two) - fixed_part == 2 * (forecast.bytes(one) - fixed_part));
  CHECK(forecast.bytes(two) - forecast.bytes(plain) == 4 * one.parameters);
}

}  // namespace
}  // namespace regatta
