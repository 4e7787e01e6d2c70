#include "train/step_clock.hpp"

#include "regatta/nn/device.hpp"

namespace regatta {
namespace {

constexpr double kProgressEvery_s = 0.5;

}  // namespace

void StepClock::start(const RunLedger& before) {
  before_ = before;
  started_s_ = progress_s_ = now_s();
}

void StepClock::enter_steps() {
  if (!in_steps_) {
    in_steps_ = true;
    since_s_ = now_s();
  }
}

void StepClock::leave_steps() {
  if (in_steps_) {
    synchronize(device_);
    spent_s_ += now_s() - since_s_;
    in_steps_ = false;
  }
}

RunLedger StepClock::ledger(const RunLedger& now) const {
  return {now.started_utc, before_.train_s + attempt_s(), steps_s(), now.resume};
}

bool StepClock::progress_due() const {
  return now_s() - progress_s_ >= kProgressEvery_s;
}

}  // namespace regatta
