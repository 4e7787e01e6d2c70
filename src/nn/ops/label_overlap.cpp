#include "nn/ops/label_overlap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include "nn/fast/label_counts.hpp"
#include "nn/shapes.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kByteValues = 256;
constexpr std::int64_t kLargestShort = 32767;

}  // namespace

bool has_labels(const char* who, const PairState& pair) {
  if (!pair.fixed_labels.defined() || !pair.moving_labels.defined() || !pair.flow.defined()) {
    return false;
  }
  const auto is_label_map = [](const at::Tensor& labels) {
    return labels.dim() == 5 && labels.size(1) == 1 &&
           (labels.scalar_type() == at::kByte || labels.scalar_type() == at::kShort);
  };
  REGATTA_REQUIRE(is_label_map(pair.fixed_labels) && is_label_map(pair.moving_labels) &&
                      pair.fixed_labels.scalar_type() == pair.moving_labels.scalar_type() &&
                      pair.fixed_labels.sizes().slice(2) == pair.flow.sizes().slice(2),
                  DataError, who, ": labels ", shape_text(pair.fixed_labels), " and ", shape_text(pair.moving_labels),
                  ", field ", shape_text(pair.flow),
                  ", expected two of one type, uint8 or int16, the fixed ones of the field's size");
  return true;
}

std::int64_t label_limit(const PairState& pair) {
  if (pair.fixed_labels.scalar_type() == at::kByte) {
    return kByteValues;
  }
  return std::max(pair.fixed_labels.max().item<std::int64_t>(), pair.moving_labels.max().item<std::int64_t>()) + 1;
}

std::vector<std::int64_t> measured_labels(const PairState& pair, const std::function<bool(std::int64_t)>& occurs) {
  if (!pair.reading.measured.empty()) {
    return pair.reading.measured;
  }
  std::vector<std::int64_t> labels;
  const bool known = pair.label_count > 0;
  const std::int64_t limit = known ? pair.label_count : label_limit(pair);
  for (std::int64_t label = 1; label < limit; ++label) {
    if (known || occurs(label)) {
      labels.push_back(label);
    }
  }
  return labels;
}

std::string label_name(const std::string& metric, const PairState& pair, std::int64_t index) {
  const std::vector<std::int64_t>& values = pair.reading.values;
  return str(metric, '/', values.empty() ? index : values.at(static_cast<std::size_t>(index)));
}

/// Integer histograms, so that the order of their atomic additions does not matter. One column more than labels takes
/// the voxels where fixed and warped differ.
at::Tensor count_labels(const PairState& pair, const at::Tensor& warped) {
  const std::int64_t limit = label_limit(pair);
  const std::int64_t columns = limit + 1;
  const at::ScalarType wide = 3 * columns <= kLargestShort ? at::kShort : at::kInt;
  const at::Tensor& fixed = pair.fixed_labels;
  at::Tensor codes = at::stack({fixed.flatten(), warped.flatten(), fixed.flatten()}).to(wide);
  codes.select(0, 2).masked_fill_(fixed.flatten().ne(warped.flatten()), limit);
  codes.add_(at::arange(3, codes.options()).mul_(columns).unsqueeze(1));
  const at::Tensor three = at::bincount(codes.flatten(), {}, 3 * columns);
  const at::Tensor moving = at::bincount(pair.moving_labels.flatten(), {}, columns);
  return at::cat({three, moving}).view({4, columns}).cpu().narrow(1, 0, limit);
}

Measured overlap_of_counts(const std::string& name, const PairState& pair, const at::Tensor& counts,
                           const OverlapOptions& options) {
  const auto count_of = [&counts](std::int64_t row, std::int64_t label) {
    return label < counts.size(1) ? counts.const_data_ptr<std::int64_t>()[row * counts.stride(0) + label] : 0;
  };
  const AbsentLabel absent = pair.reading.absent == AbsentLabel::kProtocol ? options.absent : pair.reading.absent;
  Measured out = {{name, kAbsent}};
  double sum = 0.0;
  int present = 0;
  const auto occurs = [&](std::int64_t label) { return count_of(0, label) + count_of(3, label) > 0; };
  for (const std::int64_t label : measured_labels(pair, occurs)) {
    double dice = absent == AbsentLabel::kWorst ? 0.0 : kAbsent;
    if (count_of(0, label) > 0 && count_of(3, label) > 0) {
      dice = 2.0 * static_cast<double>(count_of(2, label)) /
             (static_cast<double>(count_of(0, label) + count_of(1, label)) + options.smoothing);
    }
    if (!std::isnan(dice)) {
      sum += dice;
      ++present;
    }
    out.emplace_back(label_name(name, pair, label), dice);
  }
  if (present > 0) {
    out.front().second = sum / present;
  }
  return out;
}

std::optional<PendingNumbers> pending_overlap(const std::string& name, const PairState& pair, kernels::LabelWarp warp,
                                              const OverlapOptions& options) {
  if (pair.backend != Backend::kFast || !fast::has_label_counts(pair, warp)) {
    return std::nullopt;
  }
  return PendingNumbers{name, [pair, warp] { return fast::label_counts(pair, warp); },
                        [name, pair, options](const at::Tensor& numbers) {
                          const at::Tensor counts = numbers.to(at::kLong).view({kernels::kLabelRows, -1});
                          return overlap_of_counts(name, pair, counts, options);
                        }};
}

}  // namespace regatta
