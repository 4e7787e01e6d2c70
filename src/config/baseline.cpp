#include "regatta/config/baseline.hpp"

#include <nlohmann/json.hpp>

namespace regatta {

Recipe baseline_recipe(const std::string& model, const Json& model_options) {
  Recipe recipe;
  recipe.model.name = model;
  recipe.model.options = model_options;
  recipe.losses[kBaselineSimilarity].options = {{"window", 9}};
  recipe.losses["grad"].options = {{"penalty", "l2"}};
  recipe.optim.horizon_epochs = 1;
  return recipe;
}

}  // namespace regatta
