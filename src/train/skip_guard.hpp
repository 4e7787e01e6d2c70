// Which steps are skipped because their loss or a gradient is not finite, or so large that its square would not be:
// decided and counted on the device, looked at by the host now and then. What follows from it (lines in the log,
// roll-back) is the trainer's business.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/train/optimizer.hpp"

namespace regatta {

/// What has happened since the report before.
struct SkipReport {
  std::int64_t skipped = 0;           ///< steps
  std::vector<std::int64_t> updates;  ///< their numbers, the first `SkipGuard::kRemembered` of them
  std::int64_t in_row = 0;            ///< skipped steps up to the newest one, without a good one between
  std::int64_t halted_at = 0;         ///< number of the update that was one too many in a row; 0: none
};

class SkipGuard {
 public:
  static constexpr std::int64_t kRemembered = 64;

  /// @param most_in_row  skipped steps in a row at which all further updates are skipped, until `set_in_row_`
  SkipGuard(const at::Device& device, std::int64_t most_in_row);

  /// @param loss       a scalar
  /// @param gradients  of all parameters; unchanged
  /// @return [1] float32, 1 where the update must not be made. No host synchronisation
  at::Tensor check_(const at::Tensor& loss, const std::vector<at::Tensor>& gradients, const UpdateNumbers& numbers);

  /// The same by one kernel, for all gradients in one array.
  /// @param gradient  [count] float32 on a GPU
  at::Tensor check_flat_(const at::Tensor& loss, const at::Tensor& gradient, const UpdateNumbers& numbers);

  /// Synchronises.
  SkipReport take_report_();

  /// [1] float32, shared: part of a checkpoint.
  const at::Tensor& in_row() const { return in_row_; }

  /// Goes on from a checkpoint: nothing to report, not halted.
  void set_in_row_(const at::Tensor& in_row);

 private:
  double most_in_row_;
  at::Tensor skip_;       ///< [1] float32: what `check_flat_` decided
  at::Tensor bad_;        ///< [1] float32: 1 if the newest step is not finite
  at::Tensor in_row_;     ///< [1] float32
  at::Tensor skipped_;    ///< [1] float64, since the last report
  at::Tensor halted_at_;  ///< [1] float64
  at::Tensor updates_;    ///< [kRemembered] float64
  at::Tensor slots_;      ///< [kRemembered] float64: 0, 1, 2 ...
};

}  // namespace regatta
