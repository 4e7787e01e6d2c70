// The end of all ranks when one fails: what regatta-launch gives to run_main as `on_error`.
#pragma once

#include "regatta/base/error.hpp"

namespace regatta {

/// MPI_Abort with the code, if MPI is running. Without it the other ranks would wait for ever.
void abort_ranks(ExitCode code);

}  // namespace regatta
