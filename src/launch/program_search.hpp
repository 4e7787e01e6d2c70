// Where a program is, by PATH.
#pragma once

#include <optional>
#include <string>

namespace regatta {

/// The path of an executable file of this name in PATH.
std::optional<std::string> find_program(const std::string& name);

}  // namespace regatta
