#include "regatta/base/process.hpp"

#include <array>
#include <fstream>
#include <optional>
#include <sstream>

#include <unistd.h>

#include "regatta/base/text.hpp"

namespace regatta {
namespace {

/// Start time in clock ticks since boot; nothing if the process is gone or a zombie.
std::optional<std::uint64_t> start_ticks_of(std::int64_t pid) {
  std::ifstream stat(str("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(stat, line)) {
    return std::nullopt;
  }
  const std::size_t after_name = line.rfind(')');  // the name may hold blanks and brackets
  if (after_name == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream fields(line.substr(after_name + 1));
  std::string field;
  for (int number = 3; number <= 22 && fields >> field; ++number) {
    if (number == 3 && (field == "Z" || field == "X")) {
      return std::nullopt;
    }
    if (number == 22) {
      return std::stoull(field);
    }
  }
  return std::nullopt;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> buffer{};
  if (::gethostname(buffer.data(), buffer.size() - 1) != 0) {
    return "unknown";
  }
  return buffer.data();
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

ProcessIdentity identify_process(std::int64_t pid) {
  return {host_name(), boot_id(), pid, start_ticks_of(pid).value_or(0)};
}

ProcessIdentity this_process() {
  return identify_process(::getpid());
}

Liveness liveness(const ProcessIdentity& process) {
  if (process.host != host_name()) {
    return Liveness::kUnknown;
  }
  if (process.boot != boot_id()) {
    return Liveness::kGone;
  }
  const auto ticks = start_ticks_of(process.pid);
  return ticks && *ticks == process.start_ticks ? Liveness::kAlive : Liveness::kGone;
}

std::string process_state(std::int64_t pid) {
  std::ifstream status(str("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:")) {
      return std::string(trim(std::string_view(line).substr(6)));
    }
  }
  return "";
}

}  // namespace regatta
