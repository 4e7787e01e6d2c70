#include "regatta/train/weights_file.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "regatta/base/version.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/train/checkpoint.hpp"

namespace regatta {

std::map<std::string, std::string> data_metadata(const Archive& archive) {
  const std::vector<ArchiveSubject>& subjects = archive.subjects();
  const bool aligned = std::any_of(subjects.begin(), subjects.end(),
                                   [](const ArchiveSubject& subject) { return std::isfinite(subject.affine_ncc); });
  return {{"archive", archive.name()},
          {"affine", aligned ? "to_atlas" : "none"},
          {"data_fingerprint", archive.fingerprint()},
          {"shape", dump_line(Json(archive.shape()))},
          {"spacing", dump_line(Json(archive.spacing()))},
          {"orientation", archive.orientation()},
          {"label_ids", dump_line(Json(archive.label_ids()))},
          {"preprocessing", dump_line(archive.preprocessing())}};
}

std::map<std::string, std::string> data_metadata(const StatedPreprocess& stated) {
  const PreprocessOptions& options = stated.preprocess;
  return {{"affine", stated.aligned ? "to_atlas" : "none"},
          {"shape", dump_line(Json(options.shape))},
          {"spacing", dump_line(Json(options.spacing_mm))},
          {"orientation", options.orientation},
          {"preprocessing", dump_line(write_options(options))}};
}

std::map<std::string, std::string> network_metadata(const std::string& model, const Json& options) {
  const Json recipe = {{"schema", kRecipeSchema}, {"model", {{"name", model}, {"options", options}}}};
  return {{kFormatKey, kWeightsFormat}, {"recipe", dump_line(recipe)}, {"build", build_id()}};
}

}  // namespace regatta
