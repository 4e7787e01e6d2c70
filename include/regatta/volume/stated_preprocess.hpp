// What a data set file says of the way in which scans are prepared, for weights whose training data are not here.
#pragma once

#include <filesystem>
#include <string>

#include "regatta/volume/preprocess.hpp"

namespace regatta {

struct StatedPreprocess {
  PreprocessOptions preprocess;  ///< shape and spacing filled in
  bool aligned = false;          ///< affine: to_atlas
};

/// Reads `preprocess` and `affine` of a data set file; its subjects need not be there, or be listed at all. A shape or
/// a spacing that it leaves to the first subject is read from that scan's header.
/// @throws ConfigError with file and JSON pointer; also where shape or spacing is left open and no subject is listed
StatedPreprocess read_stated_preprocess(const std::filesystem::path& path);

}  // namespace regatta
