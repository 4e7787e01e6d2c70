// Which source voxels a packed voxel is made of, along one axis of a map of grids.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/volume/preprocess.hpp"

namespace regatta {

/// Where the spacing grows by more than this, a triangle filter of its width takes the place of linear interpolation.
inline constexpr double kFilterFrom = 1.5;

/// Source voxels and weights of one packed index along one axis; empty outside the field of view.
struct Taps {
  std::int64_t first = 0;
  std::vector<float> weights;
};

/// Linear interpolation, or the filter. @param axis  of the packed grid
std::vector<Taps> linear_taps(const GridMap& map, std::size_t axis);

/// The nearest voxel alone. @param axis  of the packed grid
std::vector<Taps> nearest_taps(const GridMap& map, std::size_t axis);

/// Elements between neighbours along the source axis that packed axis `axis` follows.
std::int64_t source_stride(const GridMap& map, std::size_t axis);

}  // namespace regatta
