#include "regatta/base/host_memory.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>
#include <vector>

#include <malloc.h>

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kKibibyte = 1024;
constexpr const char* kStatus = "/proc/self/status";

/// A line such as "VmHWM:    1234 kB", in bytes; 0 without one.
std::int64_t kibibytes_of(const fs::path& file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name + ":")) {
      return std::stoll(line.substr(name.size() + 1)) * kKibibyte;
    }
  }
  return 0;
}

std::int64_t number_in(const fs::path& file) {
  std::ifstream in(file);
  std::int64_t number = 0;
  return in >> number ? number : 0;  // "max" is no number
}

/// The number behind a name; 0 without one.
std::int64_t number_of(const fs::path& file, const std::string& wanted) {
  std::ifstream in(file);
  std::string name;
  for (std::int64_t number = 0; in >> name >> number;) {
    if (name == wanted) {
      return number;
    }
  }
  return 0;
}

/// A process's memory control group and what its files are called.
struct ControlGroup {
  fs::path folder;  ///< empty: none
  fs::path top;     ///< of the hierarchy
  const char* limit = "memory.max";
  const char* kills = "memory.events";
  std::array<const char*, 2> held = {"anon",
                                     "shmem"};  ///< in memory.stat: all but the page cache of files, which gives way
};

ControlGroup control_group(const MemoryAccounts& accounts) {
  std::ifstream groups(accounts.groups);
  ControlGroup found;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t colon = line.find(':');
    const std::size_t second = line.find(':', colon + 1);
    if (colon == std::string::npos || second == std::string::npos) {
      continue;
    }
    const std::string kinds = "," + line.substr(colon + 1, second - colon - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (kinds.find(",memory,") != std::string::npos) {  // version 1
      const fs::path top = accounts.mount / "memory";
      return {fs::path(top.string() + path),
              top,
              "memory.limit_in_bytes",
              "memory.oom_control",
              {"total_rss", "total_shmem"}};
    }
    if (kinds == ",,") {
      found.folder = fs::path(accounts.mount.string() + path);
      found.top = accounts.mount;
    }
  }
  return found;
}

/// The group and those around it, which limit it too. A job's limit stands on one around its steps.
std::vector<fs::path> folders_of(const ControlGroup& group) {
  std::vector<fs::path> folders;
  for (fs::path at = group.folder; at.string().size() >= group.top.string().size() && !at.empty();
       at = at.parent_path()) {
    folders.push_back(at);
    if (at == group.top || at == at.parent_path()) {
      break;
    }
  }
  return folders;
}

/// What a group without a limit says in version 1: all pages that an address may have.
constexpr std::int64_t kNoLimit = std::int64_t{1} << 60;

std::int64_t limit_of(const fs::path& folder, const ControlGroup& group) {
  const std::int64_t limit = number_in(folder / group.limit);
  return limit < kNoLimit ? limit : 0;
}

}  // namespace

std::int64_t resident_bytes() {
  return kibibytes_of(kStatus, "VmRSS");
}

std::int64_t peak_resident_bytes() {
  return kibibytes_of(kStatus, "VmHWM");
}

bool reset_peak_resident() {
  ::malloc_trim(0);
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5";  // proc(5): the peak becomes what is resident now
  clear.close();
  return !clear.fail();
}

std::int64_t memory_limit(const MemoryAccounts& accounts) {
  const ControlGroup group = control_group(accounts);
  std::int64_t least = 0;
  for (const fs::path& folder : folders_of(group)) {
    const std::int64_t limit = limit_of(folder, group);
    least = limit > 0 && (least == 0 || limit < least) ? limit : least;
  }
  return least;
}

std::int64_t free_memory(const MemoryAccounts& accounts) {
  std::int64_t room = kibibytes_of(accounts.meminfo, "MemAvailable");
  room = room > 0 ? room : std::numeric_limits<std::int64_t>::max();
  const ControlGroup group = control_group(accounts);
  for (const fs::path& folder : folders_of(group)) {
    if (const std::int64_t limit = limit_of(folder, group); limit > 0) {
      std::int64_t left = limit;
      for (const char* kind : group.held) {
        left -= number_of(folder / "memory.stat", kind);
      }
      room = std::min(room, std::max<std::int64_t>(0, left));
    }
  }
  return room;
}

std::int64_t memory_kills(const MemoryAccounts& accounts) {
  const ControlGroup group = control_group(accounts);
  for (const fs::path& folder : folders_of(group)) {  // in a container the group itself may not be seen
    std::error_code error;
    if (fs::exists(folder / group.kills, error)) {
      return number_of(folder / group.kills, "oom_kill");
    }
  }
  return 0;
}

}  // namespace regatta
