// Many made at the same time, taken one after the other.
#pragma once

#include <cstddef>
#include <deque>
#include <future>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/signals.hpp"

namespace regatta {

/// Calls produce(i) for i = 0..count-1 on `threads` threads and consume(i, result) in order on this one. One more is
/// begun, so that none waits while the one whose turn it is takes longer than those after it.
/// The first error in order is thrown. @throws Error when a signal asks the process to leave
template <class Produce, class Consume>
void in_order(std::size_t count, int threads, const Produce& produce, const Consume& consume) {
  using Result = decltype(produce(std::size_t{0}));
  std::deque<std::future<Result>> running;
  std::size_t started = 0;
  const auto begin_more = [&] {
    while (started < count && running.size() <= static_cast<std::size_t>(threads)) {
      running.push_back(std::async(std::launch::async, produce, started++));
    }
  };
  begin_more();
  for (std::size_t i = 0; i < count; ++i) {
    Result result = running.front().get();
    running.pop_front();
    begin_more();  // to work on while this one is consumed
    if (leave_requested()) {
      throw Error(ExitCode::kFailure, str("stopped by signal ", leave_signal(), " after ", i, " of ", count));
    }
    consume(i, std::move(result));
  }
}

}  // namespace regatta
