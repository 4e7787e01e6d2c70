#include "regatta/base/host_memory.hpp"

#include <fstream>
#include <string>

#include <malloc.h>

namespace regatta {
namespace {

constexpr std::int64_t kKibibyte = 1024;

/// A line of /proc/self/status, "VmHWM:    1234 kB".
std::int64_t status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) {
      return std::stoll(line.substr(name.size() + 1)) * kKibibyte;
    }
  }
  return 0;
}

/// Folder of this process's control group (version 2); empty if there is none.
std::string control_group() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::")) {
      return "/sys/fs/cgroup" + line.substr(3);
    }
  }
  return "";
}

}  // namespace

std::int64_t resident_bytes() {
  return status_bytes("VmRSS");
}

std::int64_t peak_resident_bytes() {
  return status_bytes("VmHWM");
}

bool reset_peak_resident() {
  ::malloc_trim(0);
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5";  // proc(5): the peak becomes what is resident now
  clear.close();
  return !clear.fail();
}

std::int64_t memory_limit() {
  std::ifstream limit(control_group() + "/memory.max");
  std::int64_t bytes = 0;
  return limit >> bytes ? bytes : 0;  // "max" is no number
}

std::int64_t memory_kills() {
  std::ifstream events(control_group() + "/memory.events");
  std::string name;
  for (std::int64_t count = 0; events >> name >> count;) {
    if (name == "oom_kill") {
      return count;
    }
  }
  return 0;
}

}  // namespace regatta
