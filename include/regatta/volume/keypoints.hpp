// Lists of corresponding points, as Learn2Reg gives them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// Reads a text file with one point per line, "d,h,w" in voxels, without a header; empty lines are skipped.
/// @throws DataError naming file and line: no file, no points, not three finite numbers
std::vector<Point3> read_keypoints(const std::filesystem::path& path);

/// Points (in voxels) that lie in no voxel of a grid of this shape.
std::int64_t count_outside(std::span<const Point3> points, const Shape3& shape);

}  // namespace regatta
