// 95th percentile of the Hausdorff distance per label, in voxels, of the fixed labels and the moving ones warped by
// nearest neighbour; the mean over the labels. A label that is absent from the fixed or the unwarped moving volume is
// NaN and left out of the mean; one that was warped away is infinite. Always unit spacing. Source: Learn2Reg's
// evaluation, which uses DeepMind's surface-distance.
//
// The labels are warped on the device and come to the CPU once, as bytes. The distance transforms are plain C++ there,
// one label at a time within the box of its two masks: exact in integers, the same in every run.
#include <algorithm>
#include <limits>

#include <ATen/core/grad_mode.h>

#include "nn/label_overlap.hpp"
#include "nn/surface_distance.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::metrics {
namespace {

constexpr double kShare = 0.95;
constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

class Hd95 final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!has_labels("hd95", pair)) {
      return {{"hd95", kAbsent}};
    }
    REGATTA_REQUIRE(pair.fixed_labels.size(0) == 1, BugError, "hd95: ", pair.fixed_labels.size(0),
                    " pairs, 1 expected");
    const at::NoGradGuard no_grad;
    const at::Tensor moved = warp_labels(pair.moving_labels, pair.flow).cpu().contiguous();
    const at::Tensor fixed = pair.fixed_labels.cpu().contiguous();
    const at::Tensor moving = pair.moving_labels.cpu().contiguous();
    const GridSize size = {fixed.size(2), fixed.size(3), fixed.size(4)};
    const auto* a = fixed.const_data_ptr<std::uint8_t>();
    const auto* b = moved.const_data_ptr<std::uint8_t>();
    const auto in_fixed = boxes_of_labels(a, size);
    const auto in_moving = boxes_of_labels(moving.const_data_ptr<std::uint8_t>(), size);
    const auto in_moved = boxes_of_labels(b, size);

    Measured out = {{"hd95", kAbsent}};
    double sum = 0.0;
    int present = 0;
    const std::int64_t labels = pair.label_count > 0 ? std::min(pair.label_count, kLabelValues) : kLabelValues;
    for (std::int64_t label = 1; label < labels; ++label) {
      const auto i = static_cast<std::size_t>(label);
      double distance = kAbsent;
      if (!in_fixed[i].empty() && !in_moving[i].empty()) {
        distance =
            robust_hausdorff(a, b, size, static_cast<std::uint8_t>(label), join(in_fixed[i], in_moved[i]), kShare);
        sum += distance;
        ++present;
      } else if (pair.label_count <= 0 && in_fixed[i].empty() && in_moving[i].empty()) {
        continue;
      }
      out.emplace_back(str("hd95/", label), distance);
    }
    if (present > 0) {
      out.front().second = sum / present;
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Metric> make_hd95() {
  return std::make_unique<Hd95>();
}

}  // namespace regatta::metrics
