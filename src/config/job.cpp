#include "regatta/config/job.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/config/idle_options.hpp"
#include "regatta/config/recipe.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

void validate_axis(const AxisOptions& axis, const std::string& at) {
  const int forms = (axis.list.empty() ? 0 : 1) + (axis.linear.empty() ? 0 : 1) + (axis.log.empty() ? 0 : 1) +
                    (axis.integer.empty() ? 0 : 1);
  REGATTA_REQUIRE(forms == 1, ConfigError, at, ": give exactly one of list, linear, log, integer; got ", forms);
  REGATTA_REQUIRE(axis.list.is_array(), ConfigError, at, "/list: expected a list, got ", type_name(axis.list));
  const auto check_ends = [&at](const auto& ends, const char* form) {
    if (!ends.empty()) {
      REGATTA_REQUIRE(ends.size() == 2 && ends[0] < ends[1], ConfigError, at, "/", form,
                      ": expected [low, high] with low < high, got [", join(ends, ", "), "]");
    }
  };
  check_ends(axis.linear, "linear");
  check_ends(axis.log, "log");
  check_ends(axis.integer, "integer");
  REGATTA_REQUIRE(axis.log.empty() || axis.log[0] > 0, ConfigError, at, "/log: low must be above 0, got ", axis.log[0]);
  REGATTA_REQUIRE(axis.points == 0 || axis.list.empty(), ConfigError, at,
                  "/points: a list has its own number of values");
}

bool is_plain_name(const std::string& name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of(kAllowed) == std::string::npos;
}

/// Paths that an axis lists, as seen from anywhere.
void make_axis_absolute(AxisOptions& axis, const fs::path& folder) {
  for (Json& value : axis.list) {
    if (value.is_string()) {
      value = absolute_path(value.get<std::string>(), folder);
    }
  }
}

}  // namespace

JobOptions read_job(const fs::path& path) {
  const Json value = read_json(path);
  JobOptions job;
  try {
    read_options(value, job);
    validate(job);
  } catch (const ConfigError& error) {
    throw ConfigError(str(path.string(), ": ", error.what()));
  }
  fs::path folder = fs::absolute(path).parent_path();
  for (auto& [pointer, axis] : job.axes) {
    if (is_path_option(pointer)) {
      make_axis_absolute(axis, folder);
    }
  }
  if (job.recipe.is_string()) {
    const fs::path recipe_path = folder / job.recipe.get<std::string>();
    job.recipe = read_json(recipe_path);
    folder = recipe_path.parent_path();
  }
  REGATTA_REQUIRE(job.recipe.is_object(), ConfigError, path.string(), ": /recipe: expected an object or a path, got ",
                  type_name(job.recipe));
  make_paths_absolute(job.recipe, folder);
  recipe_from_json(job.recipe, path.string() + ": /recipe");
  job.idle = idle_in_text(job.recipe);
  return job;
}

void validate(const JobOptions& job) {
  REGATTA_REQUIRE(is_plain_name(job.name), ConfigError, "/name: '", one_line(job.name, 60),
                  "': use letters, digits, '.', '_' and '-', at most 100, not starting with '.' or '-'");
  for (const auto& [pointer, axis] : job.axes) {
    const std::string at = pointer_to("/axes", pointer);
    REGATTA_REQUIRE(pointer.starts_with('/'), ConfigError, at,
                    ": an axis is a JSON pointer into the recipe, such as /optim/lr");
    REGATTA_REQUIRE(pointer != "/train/seed", ConfigError, at, ": seeds are varied by /replicates");
    validate_axis(axis, at);
  }
}

}  // namespace regatta
