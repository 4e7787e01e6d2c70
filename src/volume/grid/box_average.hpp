// A volume on fewer voxels, each the mean of a box. Fast and coarse: for thumbnails.
#pragma once

#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// @param image   [D, H, W]
/// @param coarse  shape of the result; no axis may be longer than the image's
std::vector<float> box_average(std::span<const float> image, const Shape3& shape, const Shape3& coarse);

}  // namespace regatta
