// The voxel axes of a grid in space, as losses and metrics measure lengths with them.
#pragma once

#include "regatta/nn/loss.hpp"
#include "regatta/train/pair_order.hpp"
#include "regatta/volume/geometry.hpp"

namespace regatta {

/// The axes of an affine without their rotation: an upper triangular matrix that gives the same lengths and angles. Of
/// orthogonal axes it is the diagonal of the spacing, exactly; angles within 1e-6 of a right one count as right ones,
/// since headers hold float32.
/// @param flips  axes along which the voxels were mirrored
VoxelAxes voxel_axes(const Affine& affine, const Flips& flips = {});

}  // namespace regatta
