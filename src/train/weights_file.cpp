#include "regatta/train/weights_file.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/version.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/train/checkpoint.hpp"

namespace regatta {

std::map<std::string, std::string> data_metadata(const Archive& archive) {
  return {{"archive", archive.name()},
          {"data_fingerprint", archive.fingerprint()},
          {"shape", dump_line(Json(archive.shape()))},
          {"spacing", dump_line(Json(archive.spacing()))},
          {"orientation", archive.orientation()},
          {"label_ids", dump_line(Json(archive.label_ids()))},
          {"preprocessing", dump_line(archive.preprocessing())}};
}

std::map<std::string, std::string> network_metadata(const std::string& model, const Json& options) {
  const Json recipe = {{"schema", kRecipeSchema}, {"model", {{"name", model}, {"options", options}}}};
  return {{kFormatKey, kWeightsFormat}, {"recipe", dump_line(recipe)}, {"build", build_id()}};
}

}  // namespace regatta
