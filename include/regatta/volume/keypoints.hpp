// Lists of corresponding points, as Learn2Reg gives them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "regatta/config/name_table.hpp"
#include "regatta/volume/geometry.hpp"

namespace regatta {

/// What the numbers in a file of points mean.
enum class KeypointSpace {
  kVoxel,  ///< voxels of the scan
  kRas,    ///< millimetres, first axis to the right
  kLps     ///< millimetres as ITK has them, first axis to the left
};

/// Names of /keypoint_space in data set files and lists of cases.
inline constexpr auto kKeypointSpaces = name_table<KeypointSpace>(
    {{"voxel", KeypointSpace::kVoxel}, {"ras", KeypointSpace::kRas}, {"lps", KeypointSpace::kLps}});

/// @param point  mm in `space`, which is not kVoxel
/// @return mm in RAS
inline Point3 ras_of(const Point3& point, KeypointSpace space) {
  return space == KeypointSpace::kLps ? Point3{-point[0], -point[1], point[2]} : point;
}

/// Reads a text file with one point per line, "d,h,w" in voxels, without a header; empty lines are skipped.
/// @throws DataError naming file and line: no file, no points, not three finite numbers
std::vector<Point3> read_keypoints(const std::filesystem::path& path);

/// Points (in voxels) that lie in no voxel of a grid of this shape.
std::int64_t count_outside(std::span<const Point3> points, const Shape3& shape);

}  // namespace regatta
