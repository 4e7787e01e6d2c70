// Tables of points: CSV with a header or without, other columns kept, as ANTs, Slicer's exports and Learn2Reg have
// them. What the numbers are (voxels, RAS or LPS millimetres) no file says: the caller does.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

enum class PointUnit { kVoxel, kRas, kLps };

/// @param text  voxel, ras or lps
PointUnit point_unit(const std::string& text);

/// RAS millimetres. @param grid  of the scan that the points are of; used for voxels alone
Point3 to_space(const Point3& point, PointUnit unit, const Grid& grid);

/// And back.
Point3 from_space(const Point3& ras, PointUnit unit, const Grid& grid);

struct PointFile {
  std::vector<Point3> points;           ///< as they stand in the file
  std::vector<std::string> cells_head;  ///< names of the columns; empty without a header
  std::vector<std::vector<std::string>> cells;
  std::vector<std::size_t> columns = {0, 1, 2};  ///< of the three coordinates
};

/// Reads one point a line. Without a header the first three columns are the coordinates; with one, the columns named x,
/// y, z (or d, h, w, or i, j, k), in upper or lower case. Empty lines are skipped.
/// @throws DataError naming file and line: no file, no points, no such columns, not three finite numbers
PointFile read_point_file(const std::filesystem::path& path);

/// Writes the table with `points` in place of those that were read. @param points  as many as the file has
void write_point_file(const std::filesystem::path& path, const PointFile& file, const std::vector<Point3>& points);

}  // namespace regatta
