// Dice per label by the protocol of the IXI comparisons (TransMorph, LKU-Net, Fourier-Net): the one-hot moving labels
// are warped trilinearly, each voxel takes the label of the largest weight, and 1e-5 is added to the denominators
// |A| + |B|. At a tie the lower label wins, as with argmax there. It lies about 0.006 above the nearest form, `dice`.
//
// Streaming: one label is warped at a time and only the largest weight so far and its label are kept, so that memory is
// that of a few volumes for any number of labels. Deviation: a label that is absent from the fixed or the unwarped
// moving volume is NaN and left out of the mean, where the IXI scripts count 0. Their tables average left and right of
// a structure first and then over 17 structures and all subjects; that is arithmetic on the details "dice_linear/N".
//
// The fast form weighs in voxels, the reference by the grid sampler's coordinates in -1 .. 1, which are rounded to
// about 1e-5 voxels: where two labels weigh the same to that accuracy, either may win.
#include <limits>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros_like.h>

#include "nn/ops/label_overlap.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

constexpr OverlapOptions kProtocol = {.smoothing = 1e-5, .absent = AbsentLabel::kWorst};

/// [N, 1, D, H, W] of the labels' type; outside the moving volume all weights are 0, which is the background.
at::Tensor warp_by_weight(const at::Tensor& labels, const at::Tensor& flow) {
  const at::Tensor voxels = at::bincount(labels.flatten()).cpu();
  const auto weight_of = [&](std::int64_t label) {
    return warp_between(labels.eq(label).to(flow.scalar_type()), flow);
  };
  at::Tensor largest = weight_of(0);
  at::Tensor winner = at::zeros_like(largest, labels.options());
  for (std::int64_t label = 1; label < voxels.numel(); ++label) {
    if (voxels.const_data_ptr<std::int64_t>()[label] > 0) {
      const at::Tensor weight = weight_of(label);
      winner.masked_fill_(weight.gt(largest), label);
      largest = at::maximum(largest, weight);
    }
  }
  return winner;
}

class DiceLinear final : public Metric {
 public:
  bool ranks_difficulty() const override { return true; }

  Measured measure(const PairState& pair) const override {
    if (!has_labels("dice_linear", pair)) {
      return {{"dice_linear", std::numeric_limits<double>::quiet_NaN()}};
    }
    if (const auto numbers = pending(pair)) {
      return measure_pending(*numbers);
    }
    const at::NoGradGuard no_grad;
    return overlap_of_counts("dice_linear", pair,
                             count_labels(pair, warp_by_weight(pair.moving_labels, pair.to_moving())), kProtocol);
  }

  std::optional<PendingNumbers> pending(const PairState& pair) const override {
    if (!has_labels("dice_linear", pair)) {
      return std::nullopt;
    }
    return pending_overlap("dice_linear", pair, kernels::LabelWarp::kLargestWeight, kProtocol);
  }
};

}  // namespace

std::unique_ptr<Metric> make_dice_linear() {
  return std::make_unique<DiceLinear>();
}

}  // namespace regatta::metrics
