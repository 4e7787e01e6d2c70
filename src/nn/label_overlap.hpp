// How far the fixed labels and the warped moving ones agree: what both Dice metrics share.
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "regatta/nn/metric.hpp"

namespace regatta {

inline constexpr std::int64_t kLabelValues = 256;  ///< of uint8

/// True if the pair has both label maps and a field. @throws DataError, beginning with `who`, if the label maps are not
/// uint8 of one shape
bool has_labels(const char* who, const PairState& pair);

/// Dice of each label by one integer histogram on the device and one transfer.
/// @param warped     the moving labels on the fixed grid, uint8
/// @param smoothing  added to the denominator |A| + |B|
/// @return the mean under `name`, then "name/LABEL" for the labels from 1 to pair.label_count - 1 (if that is not
/// known, those that occur). A label that is absent from the fixed or from the unwarped moving volume is NaN and left
/// out of the mean, as in Learn2Reg's evaluation.
Measured overlap_of_labels(const std::string& name, const PairState& pair, const at::Tensor& warped, double smoothing);

}  // namespace regatta
