// The one catch site of a program: any error becomes one line on stderr and an exit code.
#pragma once

#include <functional>

#include "regatta/base/error.hpp"

namespace regatta {

/// Runs `body`. An Error prints "[place] text" and gives its code; anything else is reported as a bug (70).
/// @param on_error  called with the code before returning, for programs that must tell others (MPI_Abort)
int run_main(const std::function<ExitCode()>& body, const std::function<void(ExitCode)>& on_error = {});

}  // namespace regatta
