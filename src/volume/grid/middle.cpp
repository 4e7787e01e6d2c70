#include "volume/grid/middle.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "regatta/base/error.hpp"

namespace regatta {

Shape3 middle_of(const Shape3& shape, const std::function<bool(std::size_t)>& inside) {
  std::array<std::vector<std::int64_t>, 3> counts;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    counts[axis].assign(static_cast<std::size_t>(shape[axis]), 0);
  }
  std::size_t index = 0;
  std::int64_t all = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
        if (inside(index)) {
          ++counts[0][static_cast<std::size_t>(d)];
          ++counts[1][static_cast<std::size_t>(h)];
          ++counts[2][static_cast<std::size_t>(w)];
          ++all;
        }
      }
    }
  }
  Shape3 middle = {shape[0] / 2, shape[1] / 2, shape[2] / 2};
  for (std::size_t axis = 0; axis < 3 && all > 0; ++axis) {
    const auto fullest = std::max_element(counts[axis].begin(), counts[axis].end());
    std::size_t at = 0;
    for (std::int64_t below = counts[axis][0]; 2 * below < all; below += counts[axis][at]) {
      ++at;
    }
    const bool thin = 2 * counts[axis][at] < *fullest;
    middle[axis] = thin ? fullest - counts[axis].begin() : static_cast<std::int64_t>(at);
  }
  return middle;
}

Point3 BoundingBox::middle(const std::string& source, double threshold) const {
  REGATTA_REQUIRE(most_[0] >= 0, DataError, source, ": no voxel is above ", threshold,
                  " (preprocess.foreground_above)");
  return {static_cast<double>(least_[0] + most_[0]) / 2, static_cast<double>(least_[1] + most_[1]) / 2,
          static_cast<double>(least_[2] + most_[2]) / 2};
}

}  // namespace regatta
