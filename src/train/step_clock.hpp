// What a training's time goes into: all of an attempt, and the part that is spent in steps. Steps are timed between the
// other things, which wait for the device; so nothing waits within them.
#pragma once

#include <c10/core/Device.h>

#include "regatta/base/clock.hpp"
#include "regatta/train/checkpoint.hpp"

namespace regatta {

inline double now_s() {
  return system_clock().monotonic_s();
}

class StepClock {
 public:
  explicit StepClock(c10::Device device) : device_(device) {}

  /// The attempt's loop begins. @param before  what earlier attempts spent
  void start(const RunLedger& before);

  /// A step begins; nothing if steps are being timed already.
  void enter_steps();

  /// Something else begins: waits for the device if steps were being timed.
  void leave_steps();

  /// Seconds in this attempt, in the loop and in its steps.
  double attempt_s() const { return now_s() - started_s_; }
  double attempt_steps_s() const { return spent_s_ + (in_steps_ ? now_s() - since_s_ : 0.0); }

  /// Seconds in steps over all attempts.
  double steps_s() const { return before_.step_s + attempt_steps_s(); }

  /// The ledger with the times as they are now.
  RunLedger ledger(const RunLedger& now) const;

  /// Whether progress has not been shown for half a second.
  bool progress_due() const;
  void progress_shown() { progress_s_ = now_s(); }

 private:
  c10::Device device_;
  RunLedger before_;
  double started_s_ = 0.0;
  double spent_s_ = 0.0;  ///< in steps, until `since_s_`
  double since_s_ = 0.0;
  double progress_s_ = 0.0;
  bool in_steps_ = false;
};

}  // namespace regatta
