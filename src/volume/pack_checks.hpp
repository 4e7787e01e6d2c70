// What is looked at before any time goes into packing.
#pragma once

#include <cstdint>
#include <set>

#include "regatta/volume/dataset.hpp"

namespace regatta {

/// Label values of one subject after merging; its image's header and its companions' grids are checked on the way.
/// @throws DataError naming the file
std::set<std::int32_t> check_subject(const DatasetFile& dataset, const SubjectEntry& subject);

/// Takes the background out. @throws DataError if more are left than an archive can hold
void require_few_labels(std::set<std::int32_t>& values);

/// The options as they will be stored: what was left to the first subject is filled in from it.
PreprocessOptions settle_options(const DatasetFile& dataset);

}  // namespace regatta
