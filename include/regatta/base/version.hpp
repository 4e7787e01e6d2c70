// What this build is.
#pragma once

#include <string>

namespace regatta {

/// "0.1.0"
std::string version_text();

/// git's short revision at configure time, "+" at the end if the tree had changes.
std::string git_revision();

/// "0.1.0 4f2a91c03b7e": equal in processes that may work together.
std::string build_id();

}  // namespace regatta
