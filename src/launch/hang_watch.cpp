// Median of the newest steps.
#include "launch/hang_watch.hpp"

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

constexpr std::size_t kStepsRemembered = 31;

}  // namespace

void HangWatch::stepped(double ms_per_step) {
  if (!std::isfinite(ms_per_step) || ms_per_step <= 0) {  // 0: nothing stepped yet
    return;
  }
  if (step_s_.size() == kStepsRemembered) {
    step_s_.erase(step_s_.begin());
  }
  step_s_.push_back(ms_per_step / 1000.0);
}

double HangWatch::allowed_s() const {
  if (step_s_.empty()) {
    return rule_.first_step_s;
  }
  std::vector<double> sorted = step_s_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return std::max(rule_.least_s, rule_.steps * *middle);
}

}  // namespace regatta
