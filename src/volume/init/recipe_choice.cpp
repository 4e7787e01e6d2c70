#include "volume/init/recipe_choice.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace regatta {
namespace {

/// What the best weights are chosen by: key-points before labels before images.
Json validation(const RecipeFacts& facts, std::int64_t every_epochs) {
  Json metrics = Json::array();
  for (const auto& [there, name] : {std::pair{facts.keypoints, "tre"}, std::pair{facts.labels, "dice"}}) {
    if (there) {
      metrics.push_back(name);
    }
  }
  for (const char* name : {"ncc", "folding", "sdlogj"}) {
    metrics.push_back(name);
  }
  return {{"every_epochs", every_epochs}, {"metrics", metrics}, {"best", metrics.front()}};
}

Json dice(const char* denominator) {
  return {{"weight", 1.0}, {"options", {{"denominator", denominator}, {"background", true}}}};
}

/// After ixi_voxelmorph; between subjects with the Dice term of oasis_transmorph_large.
RecipeChoice brain(const RecipeFacts& facts) {
  RecipeChoice out;
  Json& recipe = out.recipe;
  recipe["model"] = {{"name", "voxelmorph-2"}};
  recipe["losses"]["ncc"] = {{"weight", 1.0}, {"options", {{"window", 9}}}};
  if (facts.labels && !facts.atlas) {
    recipe["losses"]["dice"] = dice("squares");
  }
  recipe["losses"]["grad"] = {{"weight", 1.0}, {"options", {{"penalty", "l2"}}}};
  recipe["optim"] = {{"name", "adam"}, {"lr", 1e-4}, {"amsgrad", true}, {"schedule", "poly"}, {"power", 0.9}};
  recipe["train"] = {{"epochs", 500}, {"batch", 1}, {"flip", true}};
  if (!facts.atlas && facts.train_pairs > 2 * facts.train_subjects) {
    recipe["train"]["epoch_pairs"] = 2 * facts.train_subjects;
  }
  recipe["validation"] = validation(facts, 1);
  out.axes["/losses/grad/weight"] = {{"list", {0.5, 1.0, 2.0}}};
  out.axes["/optim/lr"] = {{"list", {1e-4, 4e-4}}};
  out.reason = "as VoxelMorph-2 for brains (ixi_voxelmorph)";
  return out;
}

/// After nlst_lkunet.
RecipeChoice lung(const RecipeFacts& facts) {
  RecipeChoice out;
  Json& recipe = out.recipe;
  recipe["model"] = {
      {"name", "lkunet"},
      {"options",
       {{"channels", 16}, {"kernel", 5}, {"diffeomorphic", false}, {"head", "half-corners"}, {"cascade", 3}}}};
  recipe["losses"]["ncc"] = {{"weight", 1.0}, {"options", {{"window", 9}, {"masked", facts.masks}}}};
  if (facts.labels) {
    recipe["losses"]["dice"] = dice("squares");
  }
  if (facts.keypoints) {
    recipe["losses"]["keypoint"] = {{"weight", 0.1}};
  }
  recipe["losses"]["grad"] = {{"weight", 4.0}, {"options", {{"penalty", "l2"}, {"units", "lku"}}}};
  recipe["optim"] = {{"name", "adam"}, {"lr", 1e-4}, {"amsgrad", false}, {"schedule", "constant"}};
  recipe["train"] = {{"steps", 100001}, {"batch", 1}};
  recipe["validation"] = validation(facts, 5);
  out.axes["/losses/grad/weight"] = {{"list", {2.0, 4.0, 8.0}}};
  out.axes["/optim/lr"] = {{"list", {1e-4, 2e-4}}};
  out.reason = "as the LKU-Net cascade for lungs (nlst_lkunet)";
  return out;
}

/// After acdc_voxelmorph.
RecipeChoice heart(const RecipeFacts& facts) {
  RecipeChoice out;
  Json& recipe = out.recipe;
  recipe["model"] = {{"name", "voxelmorph"}};
  recipe["losses"]["mse"] = {{"weight", 1.0}};
  if (facts.labels) {
    recipe["losses"]["dice"] = dice("sums");
  }
  recipe["losses"]["grad"] = {{"weight", 0.01}, {"options", {{"penalty", "l2"}}}};
  recipe["optim"] = {{"name", "adam"}, {"lr", 4e-4}, {"amsgrad", true}, {"schedule", "poly"}, {"power", 0.9}};
  recipe["train"] = {{"epochs", 401}, {"batch", std::clamp<std::int64_t>(facts.train_pairs, 1, 4)}, {"flip", true}};
  if (facts.train_pairs >= 8) {
    recipe["train"]["epoch_pairs"] = facts.train_pairs / 2;  // both directions of a pair count as one
  }
  recipe["validation"] = validation(facts, 1);
  out.axes["/losses/grad/weight"] = {{"list", {0.005, 0.01, 0.02}}};
  out.axes["/optim/lr"] = {{"list", {2e-4, 4e-4}}};
  out.reason = "as VoxelMorph for hearts (acdc_voxelmorph)";
  return out;
}

}  // namespace

RecipeChoice choose_recipe(const RecipeFacts& facts, const std::string& archive) {
  RecipeChoice out = facts.anatomy == Anatomy::kHeart  ? heart(facts)
                     : facts.anatomy == Anatomy::kLung ? lung(facts)
                                                       : brain(facts);
  Json recipe;
  recipe["schema"] = 1;
  recipe["data"] = {{"archive", archive}};
  recipe.update(out.recipe);
  out.recipe = std::move(recipe);
  return out;
}

}  // namespace regatta
