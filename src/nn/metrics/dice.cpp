// Dice per label, 2 |A and B| / (|A| + |B|), of the fixed labels and the moving ones warped by nearest neighbour, as
// Learn2Reg's evaluation measures it: 0 where the field leads beyond the centres of the outer voxels; a label that is
// absent from the fixed or the unwarped moving map is left out. Unless a list of labels says so, the background, label
// 0, is not measured. The IXI protocol is `dice_linear`.
#include <limits>

#include <ATen/core/grad_mode.h>

#include "nn/ops/label_overlap.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

class Dice final : public Metric {
 public:
  bool ranks_difficulty() const override { return true; }

  Measured measure(const PairState& pair) const override {
    if (!has_labels("dice", pair)) {
      return {{"dice", std::numeric_limits<double>::quiet_NaN()}};
    }
    if (const auto numbers = pending(pair)) {
      return measure_pending(*numbers);
    }
    const at::NoGradGuard no_grad;
    return overlap_of_counts("dice", pair,
                             count_labels(pair, warp_labels(pair.moving_labels, pair.to_moving(), pair.reading.edge)));
  }

  std::optional<PendingNumbers> pending(const PairState& pair) const override {
    if (!has_labels("dice", pair)) {
      return std::nullopt;
    }
    return pending_overlap("dice", pair, kernels::LabelWarp::kNearest);
  }
};

}  // namespace

std::unique_ptr<Metric> make_dice() {
  return std::make_unique<Dice>();
}

}  // namespace regatta::metrics
