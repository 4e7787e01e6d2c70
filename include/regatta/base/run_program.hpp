// Other programs, found by PATH and run without a shell.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace regatta {

/// The path of an executable file of this name in PATH.
std::optional<std::string> find_program(const std::string& name);

/// Runs a program with `input` on its stdin and returns what it wrote to stdout. @param arguments  argv, program first
/// @throws DataError if it cannot be started; an Error with its exit code if that is not 0
std::string run_program_for_text(const std::vector<std::string>& arguments, const std::string& input);

}  // namespace regatta
