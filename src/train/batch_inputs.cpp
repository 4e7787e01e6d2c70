#include "train/batch_inputs.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

/// The tensors of a batch that a network or loss may read, key-points apart.
constexpr std::array<at::Tensor PairState::*, 6> kInputs = {&PairState::fixed,        &PairState::moving,
                                                            &PairState::fixed_labels, &PairState::moving_labels,
                                                            &PairState::fixed_mask,   &PairState::moving_mask};
constexpr std::array<at::Tensor PairState::*, 2> kLists = {&PairState::fixed_keypoints, &PairState::moving_keypoints};

std::int64_t list_length(const PairState& batch) {
  return batch.fixed_keypoints.defined() ? std::max(batch.most_keypoints, batch.fixed_keypoints.size(0)) : 0;
}

/// @return [3, 3]
at::Tensor axes_in(const at::Tensor& numbers, std::size_t byte) {
  return numbers.narrow(0, static_cast<std::int64_t>(byte / sizeof(double)), 9).view({3, 3});
}

}  // namespace

StepNumbers numbers_of(const PairState& batch, double lr, std::int64_t update, const BatchShare& share) {
  const std::int64_t points = batch.fixed_keypoints.defined() ? batch.fixed_keypoints.size(0) : 0;
  return {lr,
          static_cast<double>(update),
          static_cast<double>(points),
          batch.moving_axes_mm,
          batch.fixed_axes_mm,
          share.of_fixed_mask,
          share.of_moving_mask};
}

std::string kind_of(const PairState& batch, const BatchShare& share) {
  std::string text = str(batch.label_count, batch.in_unit_range ? " unit " : " ", list_length(batch));
  for (const auto input : kInputs) {
    const at::Tensor& tensor = batch.*input;
    text += tensor.defined() ? str(" ", join(tensor.sizes(), "x")) : " -";
  }
  return share.is_whole() ? text : str(text, ", ", share.own, " of ", share.pairs);
}

BatchInputs::BatchInputs(const PairState& first, const at::Tensor& numbers, const BatchShare& share)
    : inputs_(first), share_(share) {
  REGATTA_REQUIRE(numbers.numel() == kStepNumbers && numbers.scalar_type() == at::kDouble, BugError,
                  "numbers of a step: ", numbers.numel(), ", expected ", kStepNumbers, " in float64");
  for (const auto input : kInputs) {
    if ((inputs_.*input).defined()) {
      inputs_.*input = at::empty_like(first.*input, at::MemoryFormat::Contiguous);
    }
  }
  if (!share.is_whole()) {
    share_.of_masks = numbers.narrow(0, offsetof(StepNumbers, of_fixed_mask) / sizeof(double), 2);
  }
  if (const std::int64_t length = list_length(first); length > 0) {
    for (const auto list : kLists) {
      inputs_.*list = at::zeros({length, 3}, (first.*list).options());
    }
    inputs_.keypoint_count = numbers.select(0, offsetof(StepNumbers, keypoint_count) / sizeof(double));
    inputs_.moving_axes = axes_in(numbers, offsetof(StepNumbers, moving_axes_mm));
    inputs_.fixed_axes = axes_in(numbers, offsetof(StepNumbers, fixed_axes_mm));
  }
}

void BatchInputs::take_(const PairState& batch) {
  const at::NoGradGuard no_gradients;
  for (const auto input : kInputs) {
    if ((inputs_.*input).defined()) {
      (inputs_.*input).copy_(batch.*input);
    }
  }
  for (const auto list : kLists) {
    if ((inputs_.*list).defined()) {
      (inputs_.*list).narrow(0, 0, (batch.*list).size(0)).copy_(batch.*list);
    }
  }
}

}  // namespace regatta
