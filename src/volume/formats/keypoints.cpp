#include "regatta/volume/keypoints.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

bool read_number(std::string_view text, double& value) {
  text = trim(text);
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end && std::isfinite(value);
}

}  // namespace

std::vector<Point3> read_keypoints(const std::filesystem::path& path) {
  std::vector<Point3> points;
  int number = 0;
  std::string text = read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.erase(0, 3);  // of UTF-8, as spreadsheets write it
  }
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (trim(line).empty()) {
      continue;
    }
    const std::vector<std::string> cells = split(line, ',');
    Point3 point{};
    bool good = cells.size() == point.size();
    for (std::size_t axis = 0; good && axis < point.size(); ++axis) {
      good = read_number(cells[axis], point[axis]);
    }
    REGATTA_REQUIRE(good, DataError, path.string(), ":", number, ": '", one_line(line, 60),
                    "', three numbers 'd,h,w' expected (voxels)");
    points.push_back(point);
  }
  REGATTA_REQUIRE(!points.empty(), DataError, path.string(), ": no key-points");
  return points;
}

std::int64_t count_outside(std::span<const Point3> points, const Shape3& shape) {
  return std::count_if(points.begin(), points.end(), [&](const Point3& point) {
    bool inside = true;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      inside = inside && point[axis] >= -0.5 && point[axis] <= static_cast<double>(shape[axis]) - 0.5;
    }
    return !inside;
  });
}

}  // namespace regatta
