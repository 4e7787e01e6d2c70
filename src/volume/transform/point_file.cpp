#include "regatta/volume/point_file.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

std::optional<double> finite_number(std::string_view text) {
  text = trim(text);
  double value = 0.0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> out = split(line, ',');
  if (!out.empty() && out.back().ends_with('\r')) {
    out.back().pop_back();
  }
  return out;
}

/// Columns of three names in this order, in either case.
std::optional<std::vector<std::size_t>> columns_named(const std::vector<std::string>& head, std::string_view names) {
  std::vector<std::size_t> out;
  for (const char name : names) {
    const auto found = std::find_if(head.begin(), head.end(), [name](const std::string& cell) {
      const std::string_view text = trim(cell);
      return text.size() == 1 && std::tolower(static_cast<unsigned char>(text.front())) == name;
    });
    if (found == head.end()) {
      return std::nullopt;
    }
    out.push_back(static_cast<std::size_t>(found - head.begin()));
  }
  return out;
}

void read_columns(const std::vector<std::string>& cells, const std::string& place, PointFile& out) {
  for (const char* names : {"xyz", "dhw", "ijk"}) {
    if (const auto columns = columns_named(cells, names)) {
      out.columns = *columns;
      out.cells_head = cells;
      return;
    }
  }
  throw DataError(str(place, ": '", one_line(join(cells, ","), 60),
                      "', three numbers, or a header with the columns x,y,z (d,h,w or i,j,k) expected"));
}

bool begins_with_numbers(const std::vector<std::string>& cells) {
  return cells.size() >= 3 && finite_number(cells[0]) && finite_number(cells[1]) && finite_number(cells[2]);
}

Point3 point_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& columns,
                const std::string& place) {
  Point3 out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto value = columns[axis] < cells.size() ? finite_number(cells[columns[axis]]) : std::nullopt;
    REGATTA_REQUIRE(value.has_value(), DataError, place, ": '", one_line(join(cells, ","), 60),
                    "', three finite numbers expected");
    out[axis] = *value;
  }
  return out;
}

}  // namespace

PointUnit point_unit(const std::string& text) {
  REGATTA_REQUIRE(text == "voxel" || text == "ras" || text == "lps", ConfigError, "unit of points '",
                  one_line(text, 40), "': voxel, ras or lps expected");
  return text == "voxel" ? PointUnit::kVoxel : text == "ras" ? PointUnit::kRas : PointUnit::kLps;
}

Point3 to_space(const Point3& point, PointUnit unit, const Grid& grid) {
  switch (unit) {
    case PointUnit::kVoxel: return map_point(grid.affine, point);
    case PointUnit::kLps: return {-point[0], -point[1], point[2]};
    case PointUnit::kRas: break;
  }
  return point;
}

Point3 from_space(const Point3& ras, PointUnit unit, const Grid& grid) {
  return unit == PointUnit::kVoxel ? map_point(invert(grid.affine), ras) : to_space(ras, unit, grid);
}

PointFile read_point_file(const std::filesystem::path& path) {
  PointFile out;
  std::string text = read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.erase(0, 3);  // of UTF-8, as spreadsheets write it
  }
  int number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (trim(line).empty()) {
      continue;
    }
    const std::string place = str(path.string(), ":", number);
    const std::vector<std::string> cells = cells_of(line);
    if (out.points.empty() && out.cells_head.empty() && !begins_with_numbers(cells)) {
      read_columns(cells, place, out);
      continue;
    }
    out.points.push_back(point_of(cells, out.columns, place));
    out.cells.push_back(cells);
  }
  REGATTA_REQUIRE(!out.points.empty(), DataError, path.string(), ": no points");
  return out;
}

void write_point_file(const std::filesystem::path& path, const PointFile& file, const std::vector<Point3>& points) {
  REGATTA_REQUIRE(points.size() == file.points.size(), BugError, path.string(), ": ", points.size(), " points for ",
                  file.points.size(), " rows");
  std::string out = file.cells_head.empty() ? "" : join(file.cells_head, ",") + "\n";
  for (std::size_t row = 0; row < points.size(); ++row) {
    std::vector<std::string> cells = file.cells[row];
    for (std::size_t axis = 0; axis < 3; ++axis) {
      cells[file.columns[axis]] = to_text(points[row][axis]);
    }
    out += join(cells, ",") + "\n";
  }
  write_file_atomically(path, out);
}

}  // namespace regatta
