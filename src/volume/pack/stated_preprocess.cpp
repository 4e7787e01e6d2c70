#include "regatta/volume/stated_preprocess.hpp"

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/volume/dataset.hpp"
#include "volume/pack/pack_checks.hpp"

namespace regatta {
namespace {

DatasetOptions read_members(const Json& value, const std::filesystem::path& path) {
  DatasetOptions options;
  try {
    require_object(value, "");
    read_options(value, options);
    REGATTA_REQUIRE(value.contains("preprocess"), ConfigError,
                    "/preprocess: missing; it says how scans are prepared (docs/formats.md)");
    validate(options.preprocess);
  } catch (const ConfigError& error) {
    throw ConfigError(str(path.string(), ": ", error.what()));
  }
  return options;
}

void require_stated(bool stated, const char* member, const std::filesystem::path& path) {
  REGATTA_REQUIRE(stated, ConfigError, path.string(), ": /preprocess/", member,
                  ": empty, and no subject is listed from which it could be read; give the one that the weights were "
                  "trained with");
}

}  // namespace

StatedPreprocess read_stated_preprocess(const std::filesystem::path& path) {
  const DatasetOptions options = read_members(read_json(path), path);
  StatedPreprocess stated{options.preprocess, options.affine == "to_atlas"};
  PreprocessOptions& preprocess = stated.preprocess;
  if (stated.aligned) {
    preprocess.place = "affine";
  }
  if (!preprocess.shape.empty() && !preprocess.spacing_mm.empty()) {
    return stated;
  }
  if (options.subjects.empty()) {
    require_stated(!preprocess.shape.empty(), "shape", path);
    require_stated(!preprocess.spacing_mm.empty(), "spacing_mm", path);
  }
  const Grid packed = first_packed_grid(read_dataset(path));
  if (preprocess.shape.empty()) {
    preprocess.shape.assign(packed.shape.begin(), packed.shape.end());
  }
  if (preprocess.spacing_mm.empty()) {
    const Spacing3 spacing = spacing_of(packed.affine);
    preprocess.spacing_mm.assign(spacing.begin(), spacing.end());
  }
  return stated;
}

}  // namespace regatta
