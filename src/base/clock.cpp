#include "regatta/base/clock.hpp"

#include <chrono>
#include <ctime>

#include <fmt/chrono.h>

namespace regatta {
namespace {

class SystemClock final : public Clock {
 public:
  double monotonic_s() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  std::string utc_text() const override {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace regatta
