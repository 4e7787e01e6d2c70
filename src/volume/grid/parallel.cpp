#include "volume/grid/parallel.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include <sched.h>

namespace regatta {

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return 1;
  }
  return std::max(1, CPU_COUNT(&set));
}

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, std::int64_t)>& body) {
  const std::int64_t parts =
      std::clamp<std::int64_t>(threads > 0 ? threads : available_threads(), 1, std::max<std::int64_t>(1, count));
  std::vector<std::jthread> others;
  for (std::int64_t part = 1; part < parts; ++part) {
    others.emplace_back([&body, count, part, parts] { body(count * part / parts, count * (part + 1) / parts); });
  }
  body(0, count / parts);
}

}  // namespace regatta
