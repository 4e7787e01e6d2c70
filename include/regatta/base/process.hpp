// Who a process is, across hosts and reboots, and whether it still lives.
#pragma once

#include <cstdint>
#include <string>

namespace regatta {

std::string host_name();

/// The kernel's boot id: changes at each reboot.
std::string boot_id();

/// Enough to tell a process from a later one with the same pid.
struct ProcessIdentity {
  std::string host;
  std::string boot;
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;  ///< field 22 of /proc/PID/stat

  bool operator==(const ProcessIdentity&) const = default;
};

/// Of a process on this host; start_ticks is 0 if there is no such process.
ProcessIdentity identify_process(std::int64_t pid);
ProcessIdentity this_process();

enum class Liveness { kAlive, kGone, kUnknown };

/// kUnknown for a process on another host or an earlier boot of another machine.
Liveness liveness(const ProcessIdentity& process);

/// What the kernel says a process of this host is doing: "T (stopped)", "D (disk sleep)", "S (sleeping)"; empty if it
/// is gone.
std::string process_state(std::int64_t pid);

}  // namespace regatta
