// Volumes read between their voxels by the interpolating cubic B-spline, as scipy's map_coordinates of order 3 does.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// The spline through all voxels, at some points; 0 outside the outer voxel centres. At the borders the volume is
/// mirrored about its outer voxels, as scipy does for constant surroundings.
/// @param volume  [D, H, W], any floating type
/// @param points  [K, 3] voxels, order D H W, on the same device
/// @return [K] float64
/// The coefficients of the whole volume are computed by one matrix product an axis in double precision: two volumes of
/// float64 in memory, the same result in every run.
at::Tensor sample_cubic_spline(const at::Tensor& volume, const at::Tensor& points);

}  // namespace regatta
