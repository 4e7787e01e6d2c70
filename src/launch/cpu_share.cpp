// Affinity masks of this process and its parent.
#include "launch/cpu_share.hpp"

#include <algorithm>

#include <sched.h>
#include <unistd.h>

#include "regatta/base/text.hpp"

namespace regatta {
namespace {

std::vector<int> affinity_of(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(pid, sizeof set, &set) != 0) {
    return cpus;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

}  // namespace

std::vector<int> job_cpus(bool parent_counts) {
  std::vector<int> own = affinity_of(0);
  if (parent_counts) {
    std::vector<int> parents = affinity_of(::getppid());
    if (parents.size() > own.size()) {
      return parents;
    }
  }
  return own;
}

std::vector<int> cpu_slice(const std::vector<int>& cpus, int index, int sharers) {
  const std::size_t parts = static_cast<std::size_t>(std::max(sharers, 1));
  if (cpus.size() < parts) {
    return cpus;
  }
  const std::size_t width = cpus.size() / parts;
  const auto first = cpus.begin() + static_cast<std::ptrdiff_t>(width * static_cast<std::size_t>(index));
  return {first, first + static_cast<std::ptrdiff_t>(width)};
}

int threads_of_share(const std::vector<int>& cpus, int sharers) {
  return std::max(1, static_cast<int>(cpus.size()) / std::max(sharers, 1));
}

std::string share_text(const std::vector<int>& cpus, int sharers) {
  const auto counted = [](std::size_t count) { return str(count, count == 1 ? " processor" : " processors"); };
  if (sharers > 1 && cpus.size() < static_cast<std::size_t>(sharers)) {
    return str(counted(cpus.size()), " shared by ", sharers, " ranks");
  }
  return str(counted(cpu_slice(cpus, 0, sharers).size()), sharers > 1 ? " per rank" : "");
}

}  // namespace regatta
