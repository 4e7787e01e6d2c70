// Time, injected so that tests need not wait. Decisions use the monotonic clock; the wall clock is for people.
#pragma once

#include <string>

namespace regatta {

class Clock {
 public:
  virtual ~Clock() = default;

  /// Seconds since an arbitrary start; never goes back.
  virtual double monotonic_s() const = 0;

  /// "2026-11-24T03:04:05Z".
  virtual std::string utc_text() const = 0;
};

/// The machine's clocks.
const Clock& system_clock();

}  // namespace regatta
