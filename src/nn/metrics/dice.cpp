// Dice per label, 2 |A and B| / (|A| + |B|), of the fixed labels and the moving ones warped by nearest neighbour. A
// label that is absent from the fixed or from the unwarped moving volume is NaN and left out of the mean, as in
// Learn2Reg's evaluation. The background, label 0, is not measured.
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/stack.h>

#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::metrics {
namespace {

constexpr std::int64_t kLabelValues = 256;  // of uint8
constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

/// Voxels per label value, rows fixed, moving, warped, and where fixed and warped agree: [4, 256] int64 on the CPU. One
/// integer histogram on the device, so that the order of its atomic additions does not matter, and one transfer.
at::Tensor count_voxels(const at::Tensor& fixed, const at::Tensor& moving, const at::Tensor& warped) {
  const at::Tensor agreeing = fixed * fixed.eq(warped);  // label 0 where they differ
  at::Tensor codes =
      at::stack({fixed.flatten(), moving.flatten(), warped.flatten(), agreeing.flatten()}).to(at::kShort);
  codes.add_(at::arange(4, codes.options()).mul_(kLabelValues).unsqueeze(1));
  return at::bincount(codes.flatten(), {}, 4 * kLabelValues).view({4, kLabelValues}).cpu();
}

class Dice final : public Metric {
 public:
  Measured measure(const PairState& pair) const override {
    if (!pair.fixed_labels.defined() || !pair.moving_labels.defined() || !pair.flow.defined()) {
      return {{"dice", kAbsent}};
    }
    REGATTA_REQUIRE(
        pair.fixed_labels.sizes() == pair.moving_labels.sizes() && pair.fixed_labels.scalar_type() == at::kByte,
        DataError, "dice: labels ", shape_text(pair.fixed_labels), " and ", shape_text(pair.moving_labels),
        ", expected two of one shape, uint8");
    const at::NoGradGuard no_grad;
    const at::Tensor warped = warp_labels(pair.moving_labels, pair.flow);
    const at::Tensor counts = count_voxels(pair.fixed_labels, pair.moving_labels, warped);
    return from_counts(counts.data_ptr<std::int64_t>(), pair.label_count > 0 ? pair.label_count : kLabelValues);
  }

 private:
  /// With an unknown number of labels, those that occur nowhere are not listed.
  static Measured from_counts(const std::int64_t* counts, std::int64_t label_count) {
    const std::int64_t* fixed = counts;
    const std::int64_t* moving = counts + kLabelValues;
    const std::int64_t* warped = counts + 2 * kLabelValues;
    const std::int64_t* agreeing = counts + 3 * kLabelValues;
    Measured out = {{"dice", kAbsent}};
    double sum = 0.0;
    int present = 0;
    for (std::int64_t label = 1; label < label_count; ++label) {
      double dice = kAbsent;
      if (fixed[label] > 0 && moving[label] > 0) {
        dice = 2.0 * static_cast<double>(agreeing[label]) / static_cast<double>(fixed[label] + warped[label]);
        sum += dice;
        ++present;
      } else if (label_count == kLabelValues && fixed[label] + moving[label] == 0) {
        continue;
      }
      out.emplace_back(str("dice/", label), dice);
    }
    if (present > 0) {
      out.front().second = sum / present;
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Metric> make_dice() {
  return std::make_unique<Dice>();
}

}  // namespace regatta::metrics
