// Whether a trial is worth starting in the time that is left of a job. A slice (from its start or resume to its end or
// the leave) costs loading, steps and a save; how long these take is what this job has seen so far. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace regatta {

/// What is expected before anything was seen.
struct SliceGuess {
  double load_s = 20.0;
  double save_s = 10.0;
  double least_work_s = 60.0;  ///< a slice that does not end its trial trains at least so long, and as long as it loads
};

class SliceForecast {
 public:
  explicit SliceForecast(SliceGuess guess = {}) : guess_(guess) {}

  void loaded(double seconds) { remember(load_s_, seconds); }

  void saved(double seconds) { remember(save_s_, seconds); }

  void stepped(double ms_per_step) { remember(ms_per_step_, ms_per_step); }

  /// Nine in ten loads took no longer.
  double load_s() const { return high(load_s_, guess_.load_s); }

  double save_s() const { return high(save_s_, guess_.save_s); }

  /// The least that is worth loading for.
  double work_s() const { return std::max(guess_.least_work_s, load_s()); }

  /// A slice of any trial is: it trains for a while, saves, and continues in another job.
  bool fits_a_part(double left_s) const;

  /// The rest of this trial is, to its end. @param steps_left  0: not known
  bool fits_whole(double left_s, std::int64_t steps_left) const;

 private:
  static void remember(std::vector<double>& values, double value);
  static double high(std::vector<double> values, double otherwise);

  SliceGuess guess_;
  std::vector<double> load_s_;  ///< the newest ones, as the others
  std::vector<double> save_s_;
  std::vector<double> ms_per_step_;
};

}  // namespace regatta
