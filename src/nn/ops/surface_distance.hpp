// Distances between the surfaces of two label masks, on the CPU: the arithmetic of DeepMind's surface-distance, which
// Learn2Reg uses, for voxels of unit size. A surface runs between voxels; its pieces are told by the 8 voxels around
// each corner.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace regatta {

using GridSize = std::array<std::int64_t, 3>;  ///< D, H, W

/// The voxels low .. high - 1 of a grid.
struct VoxelBox {
  GridSize low{};
  GridSize high{};

  bool empty() const { return high[0] <= low[0]; }
};

/// The smallest box around both.
VoxelBox join(const VoxelBox& a, const VoxelBox& b);

/// The box around each label value 0 .. count - 1, empty for those that do not occur.
/// @param labels  uint8 or int16, row-major, each in 0 .. count - 1
template <class Label>
std::vector<VoxelBox> boxes_of_labels(const Label* labels, const GridSize& size, std::int64_t count = 256);

/// Area of the surface in a corner whose 8 voxels are inside (bit set) or outside: marching cubes, unit voxels.
double surface_area(std::uint8_t code);

/// The squared Euclidean distance from each voxel to the nearest one of value 0: exact, separable, by lower envelopes
/// of parabolas (Felzenszwalb and Huttenlocher 2012). In place; all other voxels must hold kFar, which stays where
/// there is none of value 0.
void squared_distances(std::vector<std::int32_t>& field, const GridSize& size);
inline constexpr std::int32_t kFar = 1 << 30;

/// The percentile of the symmetric Hausdorff distance of one label, in voxels: from each piece of a surface to the
/// nearest piece of the other, the first distance at which the area of the pieces so far reaches `share` of the whole;
/// the larger of both directions. Infinite if one mask is empty.
/// @param a, b  labels of one grid, uint8 or int16, row-major
/// @param box   around the label in both
template <class Label>
double robust_hausdorff(const Label* a, const Label* b, const GridSize& size, std::int64_t label, const VoxelBox& box,
                        double share);

}  // namespace regatta
