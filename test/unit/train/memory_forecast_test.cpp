// The forecast against plain arithmetic, and how it grows.
#include <nlohmann/json.hpp>

#include "regatta/config/baseline.hpp"
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
  CHECK(forecast.parts(one).size() > 5);
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

Recipe with_losses(const Json& losses) {
  Json recipe = write_options(baseline_recipe("voxelmorph-2"));
  recipe["data"]["archive"] = "brains.h5";
  recipe["losses"] = losses;
  return recipe_from_json(recipe, "test");
}

/// Three of its strided convolutions, and the two that join 32 up-sampled channels and 32.
constexpr const char* kByCudnn = "; 5 convolutions by cuDNN in bf16";

std::string fast_forms(const Recipe& recipe, bool in_unit_range = true) {
  return forms_text(Backend::kFast, memory_need(recipe, {32, 32, 32}, 5, Backend::kFast, in_unit_range).parts);
}

TEST_CASE("every part of a VoxelMorph-2 step with NCC and diffusion has a fast form") {
  CHECK(fast_forms(baseline_recipe("voxelmorph-2")) == str("fast, all 16 parts", kByCudnn));
  CHECK(fast_forms(baseline_recipe("voxelmorph-2"), /*in_unit_range=*/false) ==
        str("fast, 1 of 16 parts by reference: NCC of images outside [0, 1]", kByCudnn));
  Recipe adamax = baseline_recipe("voxelmorph-2");
  adamax.optim.name = "adamax";
  adamax.optim.amsgrad = false;
  CHECK(fast_forms(adamax) == str("fast, 1 of 16 parts by reference: Adamax", kByCudnn));
}

TEST_CASE("losses without a fast form are named, each as one part") {
  const Json grad = {{"weight", 1.0}};
  CHECK(fast_forms(with_losses({{"ncc", {{"options", {{"masked", true}}}}}, {"grad", grad}})) ==
        str("fast, all 16 parts", kByCudnn));
  CHECK(fast_forms(with_losses({{"ncc", Json::object()}, {"dice", Json::object()}, {"mse", Json::object()}})) ==
        str("fast, all 17 parts", kByCudnn));
  CHECK(fast_forms(with_losses({{"ncc", {{"options", {{"window", 21}}}}},
                                {"grad", {{"options", {{"units", "lku"}}}}},
                                {"jacobian", Json::object()}})) ==
        str("fast, 1 of 17 parts by reference: NCC with this window", kByCudnn));
  CHECK(fast_forms(with_losses({{"ncc", Json::object()}, {"dice", Json::object()}, {"bending", Json::object()}})) ==
        str("fast, all 17 parts", kByCudnn));
}

TEST_CASE("every part of an LKU-Net step has a fast form") {
  CHECK(fast_forms(baseline_recipe("lkunet")) == "fast, all 28 parts; 10 convolutions by cuDNN in bf16");
}

TEST_CASE("every part of a TransMorph step has a fast form") {
  CHECK(fast_forms(baseline_recipe("transmorph")) ==
        "fast, all 110 parts; 8 convolutions by cuDNN and 40 linear layers by cuBLAS in bf16");
}

TEST_CASE("of a VFA step the normalisation of the images alone runs by reference") {
  CHECK(fast_forms(baseline_recipe("vfa")) ==
        "fast, 1 of 85 parts by reference: instance norm; 16 convolutions by cuDNN in bf16");
}

TEST_CASE("a network without a fast form runs by reference inside a fast step") {
  const std::string text = fast_forms(baseline_recipe("lkunet-affine", {{"size", {32, 32, 32}}}));
  INFO(text);
  CHECK(text.find("convolution 3x3x3 (") != std::string::npos);
  CHECK(text.find("warp (") != std::string::npos);
  CHECK(text.find("NCC") == std::string::npos);
  CHECK(text.find("Adam") == std::string::npos);
  const auto parts = memory_need(baseline_recipe("voxelmorph-2"), {32, 32, 32}).parts;
  CHECK(forms_text(Backend::kReference, parts) == "reference");
  CHECK(parts.size() == 6);  // convolutions, up-sampling, warp, NCC, diffusion, Adam
}

TEST_CASE("a shape that the network does not take is refused") {
  CHECK_THROWS_WITH(memory_need(baseline_recipe("voxelmorph-2"), {160, 192, 220}),
                    Catch::Contains("each size must be a multiple of 16"));
}

}  // namespace
}  // namespace regatta
