// How far the fixed labels and the warped moving ones agree: what both Dice metrics share.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/kernels/label_overlap.hpp"
#include "regatta/nn/metric.hpp"

namespace regatta {

/// True if the pair has both label maps and a field. @throws DataError, beginning with `who`, unless the label maps are
/// both uint8 or both int16 and the fixed one has the field's size; the moving one may have any
bool has_labels(const char* who, const PairState& pair);

/// One more than the largest index that may occur in these label maps.
std::int64_t label_limit(const PairState& pair);

/// The indices that are measured: `reading.measured`; else 1 .. label_count - 1; else, where that is not known, those
/// above 0 of which `occurs` is true.
std::vector<std::int64_t> measured_labels(const PairState& pair, const std::function<bool(std::int64_t)>& occurs);

/// "dice/17": the metric's name and the label's value.
std::string label_name(const std::string& metric, const PairState& pair, std::int64_t index);

struct OverlapOptions {
  double smoothing = 0.0;                      ///< added to the denominator |A| + |B|
  AbsentLabel absent = AbsentLabel::kLeftOut;  ///< the metric's protocol; `reading.absent` may say otherwise
};

/// Voxels per index: rows fixed, warped, where both agree, and moving, [4, at least `label_limit`] int64 on the CPU. By
/// one integer histogram on the device and one transfer.
/// @param warped  the moving labels on the fixed grid, of the labels' type
at::Tensor count_labels(const PairState& pair, const at::Tensor& warped);

/// Dice of each label.
/// @param counts  as of `count_labels`
/// @return the mean under `name`, then "name/LABEL" for each of the `measured_labels`
Measured overlap_of_counts(const std::string& name, const PairState& pair, const at::Tensor& counts,
                           const OverlapOptions& options = {});

/// The same of counts by our kernel, which are still on the device; none where the backend has no form for the pair.
std::optional<PendingNumbers> pending_overlap(const std::string& name, const PairState& pair, kernels::LabelWarp warp,
                                              const OverlapOptions& options = {});

}  // namespace regatta
