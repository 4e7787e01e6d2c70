// How far a sweep is, for people: one bar on a terminal; in a log a line every 5 s at first, later every 30 s.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>

#include "launch/trial_book.hpp"
#include "regatta/base/clock.hpp"
#include "regatta/sweep/state.hpp"

namespace regatta {

/// What the coordinator knows of one running trial, newer than the journal.
struct RunningTrial {
  std::int64_t step = 0;
  double ms_per_step = 0.0;
};

/// "12/64 done, 4 running, best trial t00003 dice 0.481, 2 failed, about 3 min 20 s left"
std::string sweep_progress_text(const SweepState& state, const TrialBook& book, const std::string& metric,
                                const std::map<std::int64_t, RunningTrial>& running);

/// "[#####-----]" of the steps done.
std::string sweep_progress_bar(const SweepState& state, const TrialBook& book,
                               const std::map<std::int64_t, RunningTrial>& running, int width);

/// Prints at its own pace.
class SweepProgress {
 public:
  /// @param terminal  redraw one line; otherwise append lines
  SweepProgress(std::ostream& out, bool terminal, const Clock& clock)
      : out_(out), terminal_(terminal), clock_(clock), start_s_(clock.monotonic_s()) {}

  /// Whether it is time to `show`.
  bool is_due() const;

  void show(const std::string& bar, const std::string& text);

  /// Ends the bar's line, if one stands open.
  void finish();

 private:
  std::ostream& out_;
  bool terminal_;
  const Clock& clock_;
  double start_s_;
  double last_s_ = -1e9;
  std::string last_text_;
  bool open_ = false;
};

}  // namespace regatta
