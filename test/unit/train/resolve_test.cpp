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

/// A recipe of `write_partial_scene`.
struct Partial : Scene {
  using Scene::error_of;
  Partial() { recipe.data.archive = test::write_partial_scene(folder.path()).string(); }

  std::string error_of(const std::string& train, const std::string& val, Recipe changed) {
    changed.data.train_split = train;
    changed.data.val_split = val;
    return Scene::error_of(std::move(changed));
  }

  /// Trained on and validated with one split, which is allowed.
  std::string error_of(const std::string& split, const Recipe& changed) { return error_of(split, split, changed); }
};

TEST_CASE("a loss whose labels, masks or key-points no pair of the split has is refused, one that has them is not") {
  Partial scene;
  scene.recipe.validation.metrics = {"ncc"};
  scene.recipe.validation.best = "ncc";
  const auto with = [&](const char* loss, const char* option) {
    Recipe recipe = scene.recipe;
    recipe.losses[loss].weight = 1.0;
    if (*option != '\0') {
      recipe.losses[loss].options[option] = true;
    }
    return recipe;
  };
  for (const Recipe& recipe : {with("dice", ""), with("keypoint", ""), with("ncc", "masked")}) {
    CHECK(scene.error_of("all", recipe).empty());
    CHECK(scene.error_of("some", recipe).empty());
  }
  CHECK(scene.error_of("none", with("dice", "")) ==
        "/losses/dice: needs labels on both scans, no pair of split 'none' has them");
  CHECK(scene.error_of("fixed", with("keypoint", "")) ==
        "/losses/keypoint: needs key-points on both scans, no pair of split 'fixed' has them");
  CHECK(scene.error_of("fixed", with("ncc", "masked")).empty());
  Recipe backward = with("ncc", "masked");
  backward.losses["ncc"].sides = {"backward"};
  CHECK(scene.error_of("fixed", backward) ==
        "/losses/ncc: needs masks on the moving scan, no pair of split 'fixed' has them");
  backward.losses["ncc"].sides = {"forward", "halfway"};
  CHECK(scene.error_of("all", backward).empty());
  Recipe halfway = with("keypoint", "");
  halfway.losses["keypoint"].sides = {"forward", "halfway"};
  CHECK(scene.error_of("all", halfway) ==
        "/losses/keypoint/sides/1: 'halfway', where there are no key-points; allowed for this loss: forward, backward");
}

TEST_CASE("a metric's labels or key-points are looked for in the validation split") {
  Partial scene;
  scene.recipe.validation.metrics = {"tre"};
  scene.recipe.validation.best = "tre";
  CHECK(scene.error_of("fixed", "val2", scene.recipe) ==
        "/validation/metrics/0: 'tre': needs key-points on both scans, no pair of split 'val2' has them");
  CHECK(scene.error_of("val2", "all", scene.recipe).empty());
}

TEST_CASE("where only some pairs have what a loss needs a note says how many") {
  Partial scene;
  scene.recipe.data.train_split = scene.recipe.data.val_split = "some";
  scene.recipe.losses["dice"] = {};
  const ResolvedRecipe resolved = scene.resolver.resolve(scene.recipe);
  REQUIRE(resolved.notes.size() == 3);
  CHECK(contains(resolved.notes[0], "/data/val_split: 'some' is trained on too"));
  CHECK(resolved.notes[1] == "/validation/metrics/0: 'dice': 1 of 2 pairs of split 'some' have labels on both scans");
  CHECK(resolved.notes[2] == "/losses/dice: 1 of 2 pairs of split 'some' have labels on both scans");
  scene.recipe.train.batch = 2;
  CHECK(contains(scene.resolver.resolve(scene.recipe).notes[2], "a batch in which one lacks them counts as without"));
}

TEST_CASE("pairs of scans that are trained on cannot be validated with") {
  Partial scene;
  scene.recipe.validation.metrics = {"ncc"};
  scene.recipe.validation.best = "ncc";
  CHECK(contains(scene.error_of("some", "all", scene.recipe),
                 "/data/val_split: 'all' has the pair of 'a' and 'b', and /data/train_split 'some' has 'b': a pair of "
                 "scans that are trained on"));
  CHECK(contains(scene.error_of("all", "fixed", scene.recipe), "has the pair of 'c' and 'a'"));  // c is of b's group
  CHECK(contains(scene.error_of("all", "from_atlas", scene.recipe), "has the pair of 'e' and 'a'"));
  CHECK(contains(scene.error_of("all", "to_atlas", scene.recipe), "has 'b'"));
  CHECK(scene.error_of("from_atlas", "to_atlas", scene.recipe).empty());
  CHECK(scene.error_of("all", "hub", scene.recipe).empty());  // a trained scan beside one that is not
}

TEST_CASE("a fold names both splits") {
  Partial scene;
  scene.recipe.validation.metrics = {"ncc"};
  scene.recipe.validation.best = "ncc";
  scene.recipe.data.fold = 0;
  CHECK(contains(scene.error_of(scene.recipe), "/data/train_split: split 'train0' has no pairs"));
  scene.recipe.data.fold = 2;
  const ResolvedRecipe resolved = scene.resolver.resolve(scene.recipe);
  CHECK(resolved.recipe.data.train_split == "train2");
  CHECK(resolved.recipe.data.val_split == "val2");
  CHECK(scene.resolver.resolve(resolved.recipe).hash == resolved.hash);
  Recipe by_name = scene.recipe;
  by_name.data.fold = -1;
  by_name.data.train_split = "train2";
  by_name.data.val_split = "val2";
  CHECK(scene.resolver.resolve(by_name).hash == resolved.hash);
  scene.recipe.data.val_split = "val3";
  CHECK(scene.error_of(scene.recipe) == "/data/val_split: 'val3' beside /data/fold 2, which takes 'val2'");
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
