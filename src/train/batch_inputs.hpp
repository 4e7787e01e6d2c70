// What a captured step reads: tensors that stay where they are, whose values change from step to step.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"
#include "train/batch_share.hpp"

namespace regatta {

/// Numbers of a step that its kernels read in the device's memory. One array of float64, so that one copy brings them.
struct StepNumbers {
  double lr = 0.0;
  double update = 1.0;            ///< from 1
  double keypoint_count = 0.0;    ///< real points of the batch
  VoxelAxes moving_axes_mm = {};  ///< of the batch's pair
  VoxelAxes fixed_axes_mm = {};
  double of_fixed_mask = 1.0;  ///< see BatchShare
  double of_moving_mask = 1.0;
};

inline constexpr std::int64_t kStepNumbers = sizeof(StepNumbers) / sizeof(double);

StepNumbers numbers_of(const PairState& batch, double lr, std::int64_t update, const BatchShare& share = {});

/// Batches of one kind differ in nothing but the values of their tensors, in how many of their key-points are real, and
/// in their shares of the masks.
std::string kind_of(const PairState& batch, const BatchShare& share = {});

/// The tensors of the batches of one kind. Key-points are as many as the data set's longest list has; those after a
/// batch's own are padding.
class BatchInputs {
 public:
  /// @param first    a batch of the kind
  /// @param numbers  [kStepNumbers] float64 on the batch's device; views of it are kept
  /// @param share    of that batch
  BatchInputs(const PairState& first, const at::Tensor& numbers, const BatchShare& share = {});

  /// Copies another batch of the kind here. Whoever calls it writes the `numbers_of` that batch too.
  void take_(const PairState& batch);

  const PairState& batch() const { return inputs_; }
  const BatchShare& share() const { return share_; }

 private:
  PairState inputs_;
  BatchShare share_;
};

}  // namespace regatta
