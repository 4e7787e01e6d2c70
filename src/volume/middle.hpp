// Where to cut an object so that the slices show it.
#pragma once

#include <cstddef>
#include <functional>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// For each axis the slice that has half of the object on either side, unless it shows less than
/// half of what the fullest slice shows (between two lungs): then that one.
/// @param inside  inside(i): voxel i belongs to the object
Shape3 middle_of(const Shape3& shape, const std::function<bool(std::size_t)>& inside);

}  // namespace regatta
