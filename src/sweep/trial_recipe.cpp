// From the base recipe and a point to a trial's recipe.
#include "regatta/base/error.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {
namespace {

/// Options of models and losses are known to nn alone: a key under ".../options" may be new here, and `describe`
/// refuses it if the plug-in does not have it. Everything else must exist.
void put_value(Json& recipe, const std::string& pointer, const Json& value) {
  constexpr std::string_view kOptions = "/options";
  const std::size_t slash = pointer.rfind('/');
  if (find_pointer(recipe, pointer) == nullptr && slash != std::string::npos && slash > 0 &&
      slash + 1 < pointer.size()) {
    const std::string parent = pointer.substr(0, slash);
    const Json* options = find_pointer(recipe, parent);
    if (parent.ends_with(kOptions) && options != nullptr && options->is_object()) {
      Json extended = *options;
      extended[pointer.substr(slash + 1)] = value;
      set_pointer(recipe, parent, extended);
      return;
    }
  }
  set_pointer(recipe, pointer, value);
}

}  // namespace

Json trial_recipe(const Json& base, const Point& point, int replicate) {
  Json recipe = write_options(recipe_from_json(base, "/recipe"));
  for (const auto& [pointer, value] : point) {
    put_value(recipe, pointer, value);
  }
  const std::string source = point.empty() ? "/recipe" : str("/recipe with ", point_text(point));
  const std::int64_t seed = recipe_from_json(recipe, source).train.seed;
  set_pointer(recipe, "/train/seed", seed + replicate);
  return write_options(recipe_from_json(recipe, source));
}

}  // namespace regatta
