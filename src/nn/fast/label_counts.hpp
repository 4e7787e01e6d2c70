// Voxels per label under a displacement by our kernel: warp and histogram in one reading.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/kernels/label_overlap.hpp"
#include "regatta/nn/loss.hpp"

namespace regatta::fast {

/// Label maps of uint8 on one grid, on a GPU with our kernels; for the nearest voxel read to the centres of the outer
/// ones.
bool has_label_counts(const PairState& pair, kernels::LabelWarp warp);

/// Rows fixed, warped, where both agree, and moving, of the whole batch: [4, 256] int64 on the device. Requires
/// `has_label_counts`.
at::Tensor label_counts(const PairState& pair, kernels::LabelWarp warp);

}  // namespace regatta::fast
