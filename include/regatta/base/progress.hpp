// How far a long job is: one bar that redraws itself on a terminal, a line every few seconds in a log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "regatta/base/clock.hpp"

namespace regatta {

struct ProgressOptions {
  double every_s = 5.0;          ///< seconds between lines in a log; a terminal is redrawn ten times a second
  double later_every_s = 5.0;    ///< as the job grows longer, a tenth of the time so far, up to this
  const Clock* clock = nullptr;  ///< null: the machine's
  bool terminal = false;         ///< draw a bar
  std::function<void(std::string_view)> write;  ///< empty: bars to stderr, lines to the log

  /// A bar if stderr is a terminal, otherwise lines every 5 seconds at first, later every 30.
  static ProgressOptions for_stderr();

  /// The same with lines every `every_s` seconds.
  static ProgressOptions for_stderr(double every_s);
};

class Progress {
 public:
  /// @param label  what is being done, "pack"
  /// @param total  > 0
  /// @param done   how much of it was done before (a resumed run): not counted in the rate
  Progress(std::string label, std::int64_t total, ProgressOptions options, std::int64_t done = 0);

  /// Shows the state if it is time to. @param extra  more about it, "loss 0.123"
  void update(std::int64_t done, std::string_view extra = {});

  /// Shows the last state and ends the bar's line.
  void finish(std::string_view extra = {});

 private:
  void show(std::int64_t done, std::string_view extra, bool last);

  std::string label_;
  std::int64_t total_;
  ProgressOptions options_;
  std::int64_t first_;
  std::int64_t done_;
  double start_s_;
  double shown_s_;
};

/// "pack 12/400 (3%), 3.1/s, 2 min 05 s left, extra"; rate and time left only once they are known, after half a second.
/// @param rate  units a second, 0: unknown
std::string progress_text(std::string_view label, std::int64_t done, std::int64_t total, double rate,
                          std::string_view extra);

}  // namespace regatta
