// When a silent child counts as hung: no message for max(60 s, 20 x its median step); ten minutes until its first step
// (data staging, convolution plans).
#pragma once

#include <vector>

namespace regatta {

struct HangRule {
  double first_step_s = 600.0;
  double least_s = 60.0;
  double steps = 20.0;
};

class HangWatch {
 public:
  HangWatch(HangRule rule, double now_s) : rule_(rule), last_s_(now_s) {}

  /// Any message from the child.
  void heard(double now_s) { last_s_ = now_s; }

  /// A progress message that says how long a step takes.
  void stepped(double ms_per_step);

  double silent_s(double now_s) const { return now_s - last_s_; }

  /// Seconds of silence that are allowed now.
  double allowed_s() const;

  bool is_hung(double now_s) const { return silent_s(now_s) > allowed_s(); }

 private:
  HangRule rule_;
  double last_s_;
  std::vector<double> step_s_;  ///< the newest ones
};

}  // namespace regatta
