// What has gone wrong with the numbers of a training: steps that were skipped, and whether there were too many. What
// follows (lines, roll-back, the end) is the trainer's business; which steps are skipped is decided in skip_guard.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "train/skip_guard.hpp"

namespace regatta {

class SkipHistory {
 public:
  /// @param most_in_row  skipped steps in a row that are too many
  explicit SkipHistory(std::int64_t most_in_row) : most_in_row_(most_in_row) {}

  void take(const SkipReport& report) {
    in_row_ = report.in_row;
    if (report.halted_at > 0) {
      in_row_ = most_in_row_;
      bad_step_ = report.halted_at - most_in_row_ + 1;
    }
  }

  /// The checkpoint of a step was refused: a tensor is not finite.
  void refuse(std::int64_t step, std::string why) {
    bad_step_ = step;
    refused_ = std::move(why);
  }

  /// Goes on from a checkpoint before the bad step.
  void forgive() { bad_step_ = -1; }

  /// Whether too many steps in a row were skipped, or a checkpoint was refused.
  bool is_bad() const { return bad_step_ >= 0; }

  /// The first of too many, or the step whose checkpoint was refused.
  std::int64_t bad_step() const { return bad_step_; }

  /// Why a checkpoint was refused; empty: none was.
  const std::string& refused() const { return refused_; }

  /// Skipped in a row, when last looked at.
  std::int64_t in_row() const { return in_row_; }

  /// Which warning this is, from 1.
  std::int64_t count_warning() { return ++warnings_; }

 private:
  std::int64_t most_in_row_;
  std::int64_t in_row_ = 0;
  std::int64_t bad_step_ = -1;
  std::string refused_;
  std::int64_t warnings_ = 0;
};

}  // namespace regatta
