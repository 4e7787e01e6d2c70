// The process that trains one trial for a supervisor, over the protocol of config/protocol.hpp.
#pragma once

#include "regatta/base/error.hpp"

namespace regatta {

/// Says hello, waits for the start order, trains and reports until the end, which it says with "end".
/// @param fd  our end of the socket pair
/// @return the process's exit code: 0, 85 (paused), 12, 13, 30 or that of the error
/// @throws CommError if the supervisor is gone: the process must end at once
ExitCode run_worker(int fd);

}  // namespace regatta
