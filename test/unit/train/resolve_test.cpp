// What a recipe resolves to, and what is refused before anything starts.
#include "regatta/base/error.hpp"
#include "regatta/train/resolve.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

struct Scene {
  Scene() : recipe(test::scene_recipe(test::write_scene(folder.path()))) {}

  std::string error_of(Recipe changed) {
    try {
      resolver.resolve(std::move(changed));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  test::TemporaryFolder folder;
  Recipe recipe;
  RecipeResolver resolver;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a resolved recipe writes out plug-in options and reads back as itself") {
  Scene scene;
  const ResolvedRecipe resolved = scene.resolver.resolve(scene.recipe);
  CHECK(resolved.json.at("losses").at("ncc").at("options").at("window") == 5);
  CHECK(resolved.json.at("losses").at("grad").at("options").contains("penalty"));
  CHECK(resolved.steps_per_epoch == 3);
  CHECK(resolved.recipe.optim.horizon_epochs == 4);
  CHECK(resolved.data.label_count == 3);
  CHECK(resolved.parameters > 1000);
  const ResolvedRecipe again = scene.resolver.resolve(recipe_from_json(resolved.json, "again"));
  CHECK(again.json == resolved.json);
  CHECK(again.hash == resolved.hash);
}

TEST_CASE("an epoch of other than all pairs counts in steps, schedule and hash") {
  Scene scene;
  const std::string hash = scene.resolver.resolve(scene.recipe).hash;
  scene.recipe.train.epoch_pairs = 2;
  const ResolvedRecipe resolved = scene.resolver.resolve(scene.recipe);
  CHECK(resolved.steps_per_epoch == 2);
  CHECK(resolved.recipe.optim.horizon_epochs == 6);
  CHECK(resolved.hash != hash);
}

TEST_CASE("a loss whose labels, masks or key-points the archive lacks is refused, one that has them is not") {
  Scene scene;
  Recipe recipe = scene.recipe;
  recipe.losses["dice"] = {};
  CHECK(scene.error_of(recipe).empty());
  recipe.losses["keypoint"] = {};
  CHECK(scene.error_of(recipe) == "/losses/keypoint: needs key-points, the archive has none");
  recipe.losses.erase("keypoint");
  recipe.losses["ncc"].options["masked"] = true;
  CHECK(scene.error_of(recipe) == "/losses/ncc: needs masks, the archive has none");
}

TEST_CASE("the hash ignores totals, paths and resources and knows what changes the weights") {
  Scene scene;
  const std::string hash = scene.resolver.resolve(scene.recipe).hash;
  Recipe same = scene.recipe;
  same.optim.horizon_epochs = 4;
  same.train.steps = 500;
  same.train.epochs = 7;
  same.run.threads = 2;
  same.checkpoint.keep = 5;
  same.losses["grad"].options["penalty"] = "l2";  // its default
  CHECK(scene.resolver.resolve(same).hash == hash);
  Recipe other = scene.recipe;
  other.train.seed = 4;
  CHECK(scene.resolver.resolve(other).hash != hash);
  other = scene.recipe;
  other.losses["ncc"].options["window"] = 7;
  CHECK(scene.resolver.resolve(other).hash != hash);
  other = scene.recipe;
  other.model.options["encoder"] = {4, 8, 8, 16};
  CHECK(scene.resolver.resolve(other).hash != hash);
}

TEST_CASE("wrong recipes are refused with the pointer and what is allowed") {
  Scene scene;
  Recipe recipe = scene.recipe;
  recipe.model.name = "voxelmorph-9";
  CHECK(contains(scene.error_of(recipe),
                 "/model/name: unknown network 'voxelmorph-9', have: voxelmorph, voxelmorph-diff"));
  recipe = scene.recipe;
  recipe.losses["ncc"].options["windw"] = 5;
  CHECK(contains(scene.error_of(recipe), "/losses/ncc/options/windw"));
  recipe = scene.recipe;
  recipe.losses["nmi"] = {};
  CHECK(contains(scene.error_of(recipe), "unknown loss 'nmi'"));
  recipe = scene.recipe;
  recipe.validation.metrics.push_back("psnr");
  CHECK(contains(scene.error_of(recipe), "unknown metric 'psnr'"));
  recipe = scene.recipe;
  recipe.data.val_split = "test";
  CHECK(contains(scene.error_of(recipe), "/data/val_split: split 'test' has no pairs"));
  recipe = scene.recipe;
  recipe.losses["ncc"].weight = 0.0;
  recipe.losses["grad"].weight = 0.0;
  CHECK(contains(scene.error_of(recipe), "/losses: every weight is 0"));
  CHECK(scene.error_of(scene.recipe).empty());
}

}  // namespace
}  // namespace regatta
