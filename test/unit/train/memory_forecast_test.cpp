// The forecast against plain arithmetic, and how it grows.
#include <nlohmann/json.hpp>

#include "regatta/train/baseline.hpp"
#include "regatta/train/memory_forecast.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kVoxels = std::int64_t{160} * 192 * 224;
constexpr std::int64_t kFloat = 4;

TEST_CASE("inference of VoxelMorph-2 holds 102 volumes at its widest convolution, and a copy with channels by fours") {
  // Two volumes and both joined; 32 up-sampled channels, these with the joined volumes, and the 32 of the result.
  constexpr std::int64_t kVolumes = 2 + 2 + 32 + (32 + 2) + 32;
  constexpr std::int64_t kCopy = 36;
  const MemoryNeed need = memory_need(baseline_recipe("voxelmorph-2"), {160, 192, 224});
  CHECK(static_cast<double>(need.inference) == Approx((kVolumes + kCopy) * kVoxels * kFloat).epsilon(0.005));
}

TEST_CASE("the forecast lies within 15 % of the peak measured on a GPU for VoxelMorph-2, LKU-Net and TransMorph",
          "[gpu]") {
  const Json measured = read_json(REGATTA_SOURCE_DIR "/docs/benchmarks/h100-networks.json");
  int compared = 0;
  for (const Json& row : measured.at("rows")) {
    const std::string name = row.at("model");
    if (name == "voxelmorph-2" || name == "lkunet" || name == "transmorph") {
      INFO(name);
      const MemoryNeed need = memory_need(baseline_recipe(name), {160, 192, 224});
      const auto training = row.at("training_memory").at("measured_bytes").get<double>();
      const auto inference = row.at("inference_memory").at("measured_bytes").get<double>();
      CHECK(static_cast<double>(need.training) == Approx(training).epsilon(0.15));
      CHECK(static_cast<double>(need.inference) == Approx(inference).epsilon(0.15));
      ++compared;
    }
  }
  CHECK(compared == 3);
}

TEST_CASE("a side that the network lacks is found by the forecast, before a training starts") {
  const test::TemporaryFolder folder;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  recipe.losses["ncc"].sides = {"forward", "backward"};
  CHECK_THROWS_WITH(memory_need(recipe, {16, 32, 16}), "/losses/ncc/sides: 'backward', this network has: forward");
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
  // Volumes that take turns: two pairs of them.
  one.data.resident_bytes = 100 * one.data.subject_bytes;
  const std::int64_t all = forecast.bytes(one);
  CHECK(forecast.least_bytes(one) == all - 96 * one.data.subject_bytes);
  one.recipe.run.data = "resident";
  CHECK(forecast.least_bytes(one) == all);
  one.recipe.run.data = "streamed";
  CHECK(forecast.bytes(one) == all - 96 * one.data.subject_bytes);
}

TEST_CASE("a shape that the network does not take is refused") {
  CHECK_THROWS_WITH(memory_need(baseline_recipe("voxelmorph-2"), {160, 192, 220}),
                    Catch::Contains("each size must be a multiple of 16"));
}

}  // namespace
}  // namespace regatta
