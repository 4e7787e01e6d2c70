#include "volume/grid/box_average.hpp"

#include <array>

namespace regatta {

std::vector<float> box_average(std::span<const float> image, const Shape3& shape, const Shape3& coarse) {
  std::array<std::vector<std::size_t>, 3> box;  // of each voxel index
  std::array<std::vector<double>, 3> size;      // voxels of each box
  for (std::size_t axis = 0; axis < 3; ++axis) {
    size[axis].assign(static_cast<std::size_t>(coarse[axis]), 0.0);
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
      box[axis].push_back(static_cast<std::size_t>(i * coarse[axis] / shape[axis]));
      ++size[axis][box[axis].back()];
    }
  }
  std::vector<double> sums(static_cast<std::size_t>(voxel_count(coarse)), 0.0);
  const float* voxel = image.data();
  for (const std::size_t d : box[0]) {
    for (const std::size_t h : box[1]) {
      double* row = sums.data() + (d * size[1].size() + h) * size[2].size();
      for (const std::size_t w : box[2]) {
        row[w] += double{*voxel++};
      }
    }
  }
  std::vector<float> out;
  out.reserve(sums.size());
  for (const double d : size[0]) {
    for (const double h : size[1]) {
      for (const double w : size[2]) {
        out.push_back(static_cast<float>(sums[out.size()] / (d * h * w)));
      }
    }
  }
  return out;
}

}  // namespace regatta
