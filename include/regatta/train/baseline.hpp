// The training that networks are compared by.
#pragma once

#include <string>

#include "regatta/config/recipe.hpp"

namespace regatta {

/// Batch 1, NCC (window 9, closed form) and squared forward differences of the field, Adam with AMSGrad: the work of
/// the published baselines.
Recipe baseline_recipe(const std::string& model, const Json& model_options = Json::object());

}  // namespace regatta
