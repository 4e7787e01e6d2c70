// Lists of pairs for `regatta register`: a table of files, or the pairs of an archive's split.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/registration_pair.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta::app {

/// Reads a list of pairs: JSON `{"pairs": [{"fixed": ..., "moving": ...}]}`, or CSV whose first line names its columns.
/// Members: fixed, moving; name, fixed_labels, moving_labels, fixed_points, moving_points, fixed_frame, moving_frame
/// where wanted. Paths are relative to the list. A name is a folder's; without one it is made of the two files' names.
/// @param output  the folder that holds the pairs' own ones
/// @throws ConfigError naming file, row and value: an unknown or missing member, names that are not unique, no pairs;
///         DataError if the list cannot be read
std::vector<PairFiles> read_pair_list(const std::filesystem::path& path, const std::filesystem::path& output);

/// The pairs of a split, named MOVING_to_FIXED by their subjects. @throws ConfigError for a split without pairs
std::vector<PairFiles> archived_pairs(const Archive& archive, const std::string& split,
                                      const std::filesystem::path& output);

}  // namespace regatta::app
