#include "nn/label_overlap.hpp"

#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/stack.h>

#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

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

}  // namespace

bool has_labels(const char* who, const PairState& pair) {
  if (!pair.fixed_labels.defined() || !pair.moving_labels.defined() || !pair.flow.defined()) {
    return false;
  }
  REGATTA_REQUIRE(pair.fixed_labels.sizes() == pair.moving_labels.sizes() &&
                      pair.fixed_labels.scalar_type() == at::kByte && pair.moving_labels.scalar_type() == at::kByte,
                  DataError, who, ": labels ", shape_text(pair.fixed_labels), " and ", shape_text(pair.moving_labels),
                  ", expected two of one shape, uint8");
  return true;
}

Measured overlap_of_labels(const std::string& name, const PairState& pair, const at::Tensor& warped, double smoothing) {
  const at::Tensor counts = count_voxels(pair.fixed_labels, pair.moving_labels, warped);
  const std::int64_t label_count = pair.label_count > 0 ? pair.label_count : kLabelValues;
  const auto* fixed = counts.const_data_ptr<std::int64_t>();
  const std::int64_t* moving = fixed + kLabelValues;
  const std::int64_t* moved = fixed + 2 * kLabelValues;
  const std::int64_t* agreeing = fixed + 3 * kLabelValues;
  Measured out = {{name, kAbsent}};
  double sum = 0.0;
  int present = 0;
  for (std::int64_t label = 1; label < label_count; ++label) {
    double dice = kAbsent;
    if (fixed[label] > 0 && moving[label] > 0) {
      dice =
          2.0 * static_cast<double>(agreeing[label]) / (static_cast<double>(fixed[label] + moved[label]) + smoothing);
      sum += dice;
      ++present;
    } else if (pair.label_count <= 0 && fixed[label] + moving[label] == 0) {
      continue;
    }
    out.emplace_back(str(name, '/', label), dice);
  }
  if (present > 0) {
    out.front().second = sum / present;
  }
  return out;
}

}  // namespace regatta
