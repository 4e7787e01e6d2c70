// The recipes of jobs/ against the registries: every network, loss, metric and option that they name is there.
#include <filesystem>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/loss.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"
#include "support/catch.hpp"

namespace regatta::test {

TEST_CASE("every recipe of jobs/ names networks, losses, metrics and options that there are") {
  int recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(REGATTA_SOURCE_DIR "/jobs/recipes")) {
    const std::filesystem::path& path = entry.path();
    INFO(path.filename().string());
    const Recipe recipe = recipe_from_json(read_json(path), path.string());
    CHECK(make_model(recipe.model.name, recipe.model.options, {.without_data = true})->parameters().count() > 0);
    for (const auto& [name, term] : recipe.losses) {
      CHECK_NOTHROW(make_loss(name, term.options));
    }
    for (const std::string& name : recipe.validation.metrics) {
      CHECK_NOTHROW(find_metric(name));
    }
    ++recipes;
  }
  CHECK(recipes >= 13);
}

}  // namespace regatta::test
