// Text for a person's shell. Nothing of ours is run through a shell.
#pragma once

#include <string>
#include <string_view>

namespace regatta {

/// One word of a POSIX shell command.
std::string shell_quote(std::string_view text);

}  // namespace regatta
