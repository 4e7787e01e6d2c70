#include "regatta/config/recipe.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"

namespace regatta {

const std::vector<OptimizerName>& optimizer_names() {
  static const std::vector<OptimizerName> rows = {
#define REGATTA_OPTIMIZER(file, name, amsgrad, help) {#name, amsgrad, help},
#include "regatta/config/optimizers.def"
#undef REGATTA_OPTIMIZER
  };
  return rows;
}

const std::vector<ScheduleName>& schedule_names() {
  static const std::vector<ScheduleName> rows = {
#define REGATTA_SCHEDULE(name, has_horizon, help) {#name, has_horizon, help},
#include "regatta/config/schedules.def"
#undef REGATTA_SCHEDULE
  };
  return rows;
}

const ScheduleName& find_schedule(const std::string& name) {
  const auto& rows = schedule_names();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const ScheduleName& row) { return row.name == name; });
  REGATTA_REQUIRE(found != rows.end(), ConfigError, "/optim/schedule: '", one_line(name, 60),
                  "', allowed: ", one_of_rows(rows).text());
  return *found;
}

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
  for (const OptimizerName& row : optimizer_names()) {
    REGATTA_REQUIRE(recipe.optim.name != row.name || row.amsgrad || !recipe.optim.amsgrad, ConfigError,
                    "/optim/amsgrad: true with ", row.name, ", which keeps no second moment; false expected");
  }
  const auto& metrics = recipe.validation.metrics;
  REGATTA_REQUIRE(std::find(metrics.begin(), metrics.end(), recipe.validation.best) != metrics.end(), ConfigError,
                  "/validation/best: '", one_line(recipe.validation.best, 60),
                  "' is not among /validation/metrics: ", join(metrics, ", "));
}

bool is_path_option(const std::string& pointer) {
  return std::find(kPathOptions.begin(), kPathOptions.end(), pointer) != kPathOptions.end();
}

std::string absolute_path(const std::string& path, const std::filesystem::path& folder) {
  return path.empty() ? path : std::filesystem::absolute(folder / path).lexically_normal().string();
}

void make_paths_absolute(Json& recipe, const std::filesystem::path& folder) {
  for (const char* pointer : kPathOptions) {
    const Json* path = find_pointer(recipe, pointer);
    if (path != nullptr && path->is_string()) {
      set_pointer(recipe, pointer, absolute_path(path->get<std::string>(), folder));
    }
  }
}

}  // namespace regatta
