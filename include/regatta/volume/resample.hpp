// Volumes and displacement fields between any two grids, through physical space: how `register` brings what the
// network found on the packed grid back to the scans' own grids.
//
// Everywhere: a grid's field of view reaches half a voxel beyond its outer voxel centres; inside it the outer voxels
// are repeated, as in ITK. Fields are [3, D, H, W], voxels, components in the order D, H, W, pull-back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// kCubic: the spline of order 3 through the voxels (ITK's and ANTs' BSpline), which may overshoot; images alone.
enum class Interpolation { kLinear, kNearest, kCubic };

/// Values of `voxels` (on `source`) at the voxels of `target`; `outside` beyond the field of view.
/// @param threads  0: all cores that the process may use
std::vector<float> resample_to_grid(std::span<const float> voxels, const Grid& source, const Grid& target,
                                    Interpolation interpolation, float outside = 0.0F, int threads = 0);

/// Nearest labels; 0 beyond the field of view.
std::vector<std::int32_t> resample_labels_to_grid(std::span<const std::int32_t> labels, const Grid& source,
                                                  const Grid& target, int threads = 0);

/// A displacement that a network found between two packed arrays, as a displacement of physical space on another grid.
/// The network's voxel x of the fixed array corresponds to voxel x + u(x) of the moving array; the two arrays may lie
/// differently in space (each scan is cropped about its own middle), and that difference becomes part of the result:
///   d(x) = F3^-1 (M (g + u(g)) - F x)   with g = P^-1 F x
/// for target affine F, packed fixed affine P, packed moving affine M; u sampled linearly. Outside the packed grid u is
/// that of the nearest voxel inside: what was cropped off moves with the edge.
/// @param field  on `packed`, in its voxels
/// @return on `target`, in its voxels: x + d(x), mapped by F, is the point of the moving scan in millimetres
std::vector<float> displacement_on_grid(std::span<const float> field, const Grid& packed, const Affine& packed_moving,
                                        const Grid& target, int threads = 0);

/// The moving volume seen through a displacement field of the fixed grid: out(x) = moving(M^-1 F (x + u(x))).
/// @param field  on `fixed`, in its voxels
std::vector<float> warp_with_field(std::span<const float> moving, const Grid& moving_grid, std::span<const float> field,
                                   const Grid& fixed, Interpolation interpolation, float outside = 0.0F,
                                   int threads = 0);

/// Nearest labels; 0 beyond the field of view.
std::vector<std::int32_t> warp_labels_with_field(std::span<const std::int32_t> labels, const Grid& moving_grid,
                                                 std::span<const float> field, const Grid& fixed, int threads = 0);

}  // namespace regatta
