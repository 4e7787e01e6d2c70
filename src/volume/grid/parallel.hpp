// A range of slices shared out over threads. Bodies must not throw.
#pragma once

#include <cstdint>
#include <functional>

namespace regatta {

/// Cores that this process may run on (its affinity), at least 1.
int available_threads();

/// Calls body(begin, end) on parts of 0..count-1, one a thread. @param threads  0: available_threads()
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace regatta
