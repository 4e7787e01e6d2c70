// Middles of objects: where to crop a scan, and where to cut it so that the slices show it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// For each axis the slice that has half of the object on either side, unless it shows less than
/// half of what the fullest slice shows (between two lungs): then that one.
/// @param inside  inside(i): voxel i belongs to the object
Shape3 middle_of(const Shape3& shape, const std::function<bool(std::size_t)>& inside);

/// Around voxels above a threshold.
class BoundingBox {
 public:
  void add(const Shape3& voxel) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      least_[axis] = std::min(least_[axis], voxel[axis]);
      most_[axis] = std::max(most_[axis], voxel[axis]);
    }
  }

  /// @throws DataError naming the file if there is no such voxel
  Point3 middle(const std::string& source, double threshold) const;

 private:
  Shape3 least_ = {kNone, kNone, kNone};
  Shape3 most_ = {-1, -1, -1};
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
};

}  // namespace regatta
