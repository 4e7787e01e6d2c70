#include "regatta/config/job.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/config/idle_options.hpp"
#include "regatta/config/objectives.hpp"
#include "regatta/config/recipe.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// A range's ends and step.
template <class Ends>
void validate_range(const AxisOptions& axis, const Ends& ends, const char* form, const std::string& at) {
  if (ends.empty()) {
    return;
  }
  REGATTA_REQUIRE(ends.size() == 2 && ends[0] < ends[1], ConfigError, at, "/", form,
                  ": expected [low, high] with low < high, got [", join(ends, ", "), "]");
  const double width = static_cast<double>(ends[1]) - static_cast<double>(ends[0]);
  REGATTA_REQUIRE(axis.step <= width, ConfigError, at, "/step: ", axis.step, ", but the range is only ", width,
                  " wide");
}

void validate_axis(const AxisOptions& axis, const std::string& at) {
  REGATTA_REQUIRE(axis.list.is_array(), ConfigError, at, "/list: expected a list, got ", type_name(axis.list));
  REGATTA_REQUIRE(axis.named.is_object(), ConfigError, at, "/named: expected an object, name -> value, got ",
                  type_name(axis.named));
  REGATTA_REQUIRE(axis.when.is_object(), ConfigError, at, "/when: expected an object, pointer -> value, got ",
                  type_name(axis.when));
  const bool is_listed = !axis.list.empty() || !axis.named.empty();
  const std::array<bool, 6> given = {!axis.list.empty(), !axis.named.empty(),   !axis.linear.empty(),
                                     !axis.log.empty(),  !axis.integer.empty(), !axis.log_integer.empty()};
  const auto forms = std::count(given.begin(), given.end(), true);
  REGATTA_REQUIRE(forms == 1, ConfigError, at,
                  ": give exactly one of list, named, linear, log, integer, log_integer; got ", forms);
  validate_range(axis, axis.linear, "linear", at);
  validate_range(axis, axis.log, "log", at);
  validate_range(axis, axis.integer, "integer", at);
  validate_range(axis, axis.log_integer, "log_integer", at);
  REGATTA_REQUIRE(axis.log.empty() || axis.log[0] > 0, ConfigError, at, "/log: low must be above 0, got ", axis.log[0]);
  REGATTA_REQUIRE(axis.log_integer.empty() || axis.log_integer[0] >= 1, ConfigError, at,
                  "/log_integer: low must be 1 or more, got ", axis.log_integer[0]);
  REGATTA_REQUIRE(axis.points == 0 || !is_listed, ConfigError, at, "/points: a list has its own number of values");
  REGATTA_REQUIRE(axis.step == 0 || !axis.linear.empty() || !axis.integer.empty(), ConfigError, at,
                  "/step: only linear and integer ranges have steps");
  REGATTA_REQUIRE(axis.step == 0 || axis.integer.empty() || axis.step == std::floor(axis.step), ConfigError, at,
                  "/step: ", axis.step, ", expected a whole number for an integer range");
}

bool is_plain_name(const std::string& name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of(kAllowed) == std::string::npos;
}

/// Paths that an axis lists, as seen from anywhere.
void make_axis_absolute(AxisOptions& axis, const fs::path& folder) {
  for (Json* values : {&axis.list, &axis.named}) {
    for (Json& value : *values) {
      if (value.is_string()) {
        value = absolute_path(value.get<std::string>(), folder);
      }
    }
  }
}

}  // namespace

JobOptions read_job(const fs::path& path) {
  const Json value = read_json(path);
  JobOptions job;
  try {
    read_options(value, job);
    resolve_objectives(job);
    validate(job);
  } catch (const ConfigError& error) {
    throw ConfigError(str(path.string(), ": ", error.what()));
  }
  fs::path folder = fs::absolute(path).parent_path();
  for (std::string& sweep : job.warm_start) {
    sweep = absolute_path(sweep, folder);
  }
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
  REGATTA_REQUIRE(job.sobol.scramble || job.sampler == "sobol", ConfigError,
                  "/sobol/scramble: has no effect with the sampler ", one_line(job.sampler, 60));
  REGATTA_REQUIRE(is_plain_name(job.name), ConfigError, "/name: '", one_line(job.name, 60),
                  "': use letters, digits, '.', '_' and '-', at most 100, not starting with '.' or '-'");
  REGATTA_REQUIRE(identity_of(job.tpe).empty() || job.sampler == "tpe", ConfigError,
                  "/tpe: has no effect with the sampler ", one_line(job.sampler, 60));
  REGATTA_REQUIRE(job.warm_start.empty() || job.sampler == "tpe", ConfigError,
                  "/warm_start: has no effect with the sampler ", one_line(job.sampler, 60),
                  "; only tpe learns from results");
  REGATTA_REQUIRE(job.enqueue.is_array(), ConfigError, "/enqueue: expected a list of points, got ",
                  type_name(job.enqueue));
  for (const Json& point : job.enqueue) {
    REGATTA_REQUIRE(point.is_object(), ConfigError, "/enqueue: expected points as objects, axis -> value, got ",
                    type_name(point));
  }
  REGATTA_REQUIRE(job.target.is_null() || job.target.is_number(), ConfigError,
                  "/target: expected a number or null, got ", type_name(job.target));
  for (const auto& [pointer, axis] : job.axes) {
    const std::string at = pointer_to("/axes", pointer);
    REGATTA_REQUIRE(pointer.starts_with('/'), ConfigError, at,
                    ": an axis is a JSON pointer into the recipe, such as /optim/lr");
    REGATTA_REQUIRE(pointer != "/train/seed", ConfigError, at, ": seeds are varied by /replicates");
    validate_axis(axis, at);
  }
}

}  // namespace regatta
