// Volumes and label maps on a grid of their own, of any size, seen through a field that leads from the voxels of
// another grid to theirs. For measuring; the transformer that networks are trained with is warp.hpp.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// What counts as outside a label map.
enum class LabelEdge {
  kCentres,   ///< what lies beyond the centres of the outer voxels: Learn2Reg's evaluation (SciPy, mode "constant")
  kHalfVoxel  ///< what lies more than half a voxel beyond them: ITK's resampling
};

/// The volume at p + flow(p), trilinear, zero outside; without gradients. Of equal grids it is `warp`, to the bit.
/// @param volume  [N, C, D', H', W']
/// @param flow    [N, 3, D, H, W] voxels, components D, H, W; each size of both at least 2
/// @return [N, C, D, H, W]
/// @throws DataError if the shapes do not fit
at::Tensor warp_between(const at::Tensor& volume, const at::Tensor& flow);

/// The label at the voxel nearest to p + flow(p), 0 outside.
/// @param labels  [N, 1, D', H', W'] uint8 or int16
/// @return [N, 1, D, H, W] of the labels' type
at::Tensor warp_labels(const at::Tensor& labels, const at::Tensor& flow, LabelEdge edge);

}  // namespace regatta
