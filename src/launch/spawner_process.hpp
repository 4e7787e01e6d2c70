// What runs in the spawner's process. It never returns to the code that forked it.
#pragma once

#include <sys/types.h>

namespace regatta {

/// Serves start and kill requests until `socket` closes or the rank dies.
/// @param socket  the spawner's end of the pair
/// @param rank    the process that forked us
[[noreturn]] void run_spawner_process(int socket, pid_t rank);

}  // namespace regatta
