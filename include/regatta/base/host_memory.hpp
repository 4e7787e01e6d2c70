// Resident memory of this process, by the kernel's own accounts.
#pragma once

#include <cstdint>

namespace regatta {

/// Bytes in memory now; 0 where /proc does not tell.
std::int64_t resident_bytes();

/// Most bytes in memory at once since the start or `reset_peak_resident`.
std::int64_t peak_resident_bytes();

/// Gives freed memory back to the system and starts the peak anew. @return false if the kernel refuses: the peak is
/// then that of the whole process
bool reset_peak_resident();

}  // namespace regatta
