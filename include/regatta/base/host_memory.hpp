// Resident memory of this process, by the kernel's own accounts.
#pragma once

#include <cstdint>
#include <filesystem>

namespace regatta {

/// Bytes in memory now; 0 where /proc does not tell.
std::int64_t resident_bytes();

/// Most bytes in memory at once since the start or `reset_peak_resident`.
std::int64_t peak_resident_bytes();

/// Gives freed memory back to the system and resets the peak. @return false if the kernel refuses: the peak is
/// then that of the whole process
bool reset_peak_resident();

/// Where the kernel tells of memory; tests have files of their own.
struct MemoryAccounts {
  std::filesystem::path meminfo = "/proc/meminfo";
  std::filesystem::path groups = "/proc/self/cgroup";
  std::filesystem::path mount = "/sys/fs/cgroup";
};

/// Bytes that this process's control group, of version 1 or 2, or one around it may use; 0: no limit is known.
std::int64_t memory_limit(const MemoryAccounts& accounts = {});

/// Bytes that may still be taken: what the host has available, or what is left below those limits. The largest number
/// where nothing is known.
std::int64_t free_memory(const MemoryAccounts& accounts = {});

/// How often the kernel has killed a process of this one's control group for want of memory; 0 where there is no such
/// group. Grows: compare two readings.
std::int64_t memory_kills(const MemoryAccounts& accounts = {});

}  // namespace regatta
