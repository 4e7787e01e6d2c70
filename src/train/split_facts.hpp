// What the pairs of a split have of what losses and metrics need, and whether two splits are apart. From the archive's
// tables alone.
#pragma once

#include <string>
#include <vector>

#include "regatta/train/resolve.hpp"

namespace regatta {

/// @param pointer  of the option that names the split @throws ConfigError if it has no pairs
SplitFacts split_facts(const Archive& archive, const std::string& split, const char* pointer);

/// Checks that pairs of a split have what is needed.
/// @param need     "labels", "key-points", "masks" or ""
/// @param side     "forward" or "backward": which way round a loss takes the pairs; it looks at the mask of the scan
///                 that is warped onto
/// @param pointer  of the option that needs it
/// @return a line that says so where only some pairs have it, else "" @throws ConfigError where none has
std::string check_need(const SplitFacts& split, const std::string& need, const std::string& side,
                       const std::string& pointer);

/// No pair may be validated with whose two scans are both trained on, themselves or others of their groups; as in
/// packing, one of them may (an atlas of both splits). Subjects of the split "atlas" count as trained on.
/// @throws ConfigError naming such a pair
void require_apart(const Archive& archive, const std::string& train_split, const std::string& val_split);

}  // namespace regatta
