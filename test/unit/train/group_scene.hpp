// A training by a group, each member a thread of this process.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "unit/train/scene.hpp"

namespace regatta::test {

struct GroupEnd {
  std::vector<TrainOutcome> outcomes;  ///< by rank
  std::vector<std::string> errors;     ///< what each member threw; empty: nothing
  StartNote start;                     ///< of member 0
};

/// One attempt in a folder by a number of members.
/// @param leave  asked by member 0; may be empty
GroupEnd train_group(const std::filesystem::path& folder, const Recipe& recipe, int members,
                     const std::function<bool()>& leave = {});

}  // namespace regatta::test
