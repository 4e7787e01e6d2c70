// 95th percentile of the Hausdorff distance per label, in voxels, of the fixed labels and the moving ones warped by
// nearest neighbour; the mean over the labels. A label that is absent from the fixed or the unwarped moving volume is
// NaN and left out of the mean; one that was warped away is infinite. Always unit spacing. Source: Learn2Reg's
// evaluation, which uses DeepMind's surface-distance.
//
// The labels are warped on the device and come to the CPU once, as bytes. The distance transforms are plain C++ there,
// each label within the box of its two masks, labels on the CPU threads side by side: exact in integers, the same in
// every run.
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "nn/label_overlap.hpp"
#include "nn/surface_distance.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta::metrics {
namespace {

constexpr double kShare = 0.95;
constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

GridSize size_of(const at::Tensor& labels) {
  return {labels.size(2), labels.size(3), labels.size(4)};
}

/// @param fixed, moved, moving  on the CPU, contiguous, of type Label
template <class Label>
Measured distances(const PairState& pair, const at::Tensor& fixed, const at::Tensor& moved, const at::Tensor& moving) {
  const GridSize size = size_of(fixed);
  const std::int64_t limit = label_limit(pair);
  const auto* a = fixed.const_data_ptr<Label>();
  const auto* b = moved.const_data_ptr<Label>();
  const auto in_fixed = boxes_of_labels(a, size, limit);
  const auto in_moved = boxes_of_labels(b, size, limit);
  const auto in_moving = boxes_of_labels(moving.const_data_ptr<Label>(), size_of(moving), limit);
  const auto has = [limit](const std::vector<VoxelBox>& boxes, std::int64_t label) {
    return label < limit && !boxes[static_cast<std::size_t>(label)].empty();
  };
  const auto occurs = [&](std::int64_t label) { return has(in_fixed, label) || has(in_moving, label); };
  const std::vector<std::int64_t> labels = measured_labels(pair, occurs);
  std::vector<double> of_labels(
      labels.size(), pair.reading.absent == AbsentLabel::kWorst ? std::numeric_limits<double>::infinity() : kAbsent);
  at::parallel_for(0, std::ssize(labels), /*grain_size=*/1, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t k = first; k < end; ++k) {
      const std::int64_t label = labels[static_cast<std::size_t>(k)];
      if (has(in_fixed, label) && has(in_moving, label)) {
        const auto i = static_cast<std::size_t>(label);
        of_labels[static_cast<std::size_t>(k)] =
            robust_hausdorff(a, b, size, label, join(in_fixed[i], in_moved[i]), kShare);
      }
    }
  });
  Measured out = {{"hd95", kAbsent}};
  double sum = 0.0;
  int present = 0;
  for (std::size_t k = 0; k < labels.size(); ++k) {
    if (!std::isnan(of_labels[k])) {
      sum += of_labels[k];
      ++present;
    }
    out.emplace_back(label_name("hd95", pair, labels[k]), of_labels[k]);
  }
  if (present > 0) {
    out.front().second = sum / present;
  }
  return out;
}

class Hd95 final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!has_labels("hd95", pair)) {
      return {{"hd95", kAbsent}};
    }
    REGATTA_REQUIRE(pair.fixed_labels.size(0) == 1, BugError, "hd95: ", pair.fixed_labels.size(0),
                    " pairs, 1 expected");
    const at::NoGradGuard no_grad;
    const at::Tensor moved = warp_labels(pair.moving_labels, pair.to_moving(), pair.reading.edge).cpu().contiguous();
    const at::Tensor fixed = pair.fixed_labels.cpu().contiguous();
    const at::Tensor moving = pair.moving_labels.cpu().contiguous();
    return fixed.scalar_type() == at::kByte ? distances<std::uint8_t>(pair, fixed, moved, moving)
                                            : distances<std::int16_t>(pair, fixed, moved, moving);
  }
};

}  // namespace

std::unique_ptr<Metric> make_hd95() {
  return std::make_unique<Hd95>();
}

}  // namespace regatta::metrics
