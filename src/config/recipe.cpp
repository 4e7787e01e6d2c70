#include "regatta/config/recipe.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"

namespace regatta {

Recipe recipe_from_json(const Json& value, const std::string& source) {
  Recipe recipe;
  try {
    read_options(value, recipe);
    validate(recipe);
  } catch (const ConfigError& error) {
    throw ConfigError(str(source, ": ", error.what()));
  }
  return recipe;
}

void validate(const Recipe& recipe) {
  REGATTA_REQUIRE(!recipe.data.archive.empty(), ConfigError,
                  "/data/archive: missing; name an archive made by `regatta pack`");
  REGATTA_REQUIRE(!recipe.losses.empty(), ConfigError,
                  "/losses: empty; name at least one, for example {\"ncc\": {\"weight\": 1}}");
  REGATTA_REQUIRE(recipe.optim.name != "adamax" || !recipe.optim.amsgrad, ConfigError,
                  "/optim/amsgrad: true with adamax, which keeps no second moment; false expected");
  const auto& metrics = recipe.validation.metrics;
  REGATTA_REQUIRE(std::find(metrics.begin(), metrics.end(), recipe.validation.best) != metrics.end(), ConfigError,
                  "/validation/best: '", one_line(recipe.validation.best, 60),
                  "' is not among /validation/metrics: ", join(metrics, ", "));
}

}  // namespace regatta
