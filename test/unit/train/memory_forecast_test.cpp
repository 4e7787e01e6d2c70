// The forecast against what was measured on a GPU, against plain arithmetic, and how it grows.
#include "regatta/train/baseline.hpp"
#include "regatta/train/memory_forecast.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kVoxels = std::int64_t{160} * 192 * 224;
constexpr std::int64_t kFloat = 4;

TEST_CASE("the forecast is within 15 % of the peak measured for VoxelMorph-2 at 160x192x224") {
  constexpr double kMeasured = 5250509824.0;  // docs/benchmarks/h200-voxelmorph-2-step.json
  const MemoryNeed need = memory_need(baseline_recipe("voxelmorph-2"), {160, 192, 224});
  CHECK(static_cast<double>(need.training) == Approx(kMeasured).epsilon(0.15));
}

TEST_CASE("inference of VoxelMorph-2 holds the two volumes and at most the concatenation, 32 and 16 channels") {
  const MemoryNeed need = memory_need(baseline_recipe("voxelmorph-2"), {160, 192, 224});
  CHECK(need.inference > (2 + 32 + 16) * kVoxels * kFloat);
  CHECK(need.inference < (2 + 32 + 34 + 16) * kVoxels * kFloat);
}

TEST_CASE("the forecast grows with batch, volumes, labels and moments") {
  const test::TemporaryFolder folder;
  RecipeResolver resolver;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  MemoryForecast forecast;
  ResolvedRecipe one = resolver.resolve(recipe);
  const std::int64_t bytes = forecast.bytes(one);
  CHECK(forecast.bytes(one) == bytes);
  recipe.train.batch = 2;
  const std::int64_t two = forecast.bytes(resolver.resolve(recipe));
  const std::int64_t fixed_part = one.data.resident_bytes + 20 * one.parameters;
  CHECK(static_cast<double>(two - fixed_part) == Approx(2.0 * static_cast<double>(bytes - fixed_part)).epsilon(0.1));
  recipe.train.batch = 1;
  recipe.optim.amsgrad = false;
  const std::int64_t plain = forecast.bytes(resolver.resolve(recipe));
  CHECK(bytes - plain >= kFloat * one.parameters);
  CHECK(bytes - plain <= kFloat * one.parameters + 512 * 100);  // a block a parameter at most
  one.data.resident_bytes += 1000;
  CHECK(forecast.bytes(one) == bytes + 1000);
}

TEST_CASE("a shape that the network does not take is refused") {
  CHECK_THROWS_WITH(memory_need(baseline_recipe("voxelmorph-2"), {160, 192, 220}),
                    Catch::Contains("each size must be a multiple of 16"));
}

}  // namespace
}  // namespace regatta
