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

/// Bytes that this process's control group may use; 0: no limit is known.
std::int64_t memory_limit();

/// How often the kernel has killed a process of this one's control group for want of memory; 0 where there is no such
/// group. Grows: compare two readings.
std::int64_t memory_kills();

}  // namespace regatta
