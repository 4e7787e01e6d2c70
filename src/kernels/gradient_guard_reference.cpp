#include <cmath>

#include "kernels/guard_decision.hpp"
#include "regatta/kernels/gradient_guard.hpp"

namespace regatta::kernels {

std::size_t gradient_guard_scratch_bytes() {
  return kGuardBlocks * sizeof(unsigned);
}

void gradient_guard_reference(const GuardStep& now, const GuardState& state) {
  bool good = std::isfinite(*now.loss);
  for (std::int64_t i = 0; i < now.count; ++i) {
    good = good && std::abs(now.gradient[i]) <= kLargestGradient;  // NaN: false
  }
  decide_step(good, now.step->update, now.most_in_row, state);
}

}  // namespace regatta::kernels
