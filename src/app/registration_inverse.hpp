// The way back of one registered pair: from the moving scan's grid to the fixed scan.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regatta/train/registration.hpp"
#include "regatta/volume/geometry.hpp"

namespace regatta::app {

/// A network's own inverse is taken where, composed with the field, it is off by no more on average.
inline constexpr double kExactInverse = 0.1;  ///< voxels of the moving grid

struct InverseField {
  std::vector<float> field;       ///< [3, D, H, W] on the moving grid, in its voxels
  std::string by;                 ///< network, or iteration
  double mean_residual_mm = 0.0;  ///< how far the field takes the point found from where it should come
  double largest_residual_mm = 0.0;
  std::int64_t missing = 0;  ///< voxels that no point of the fixed scan's view is mapped to; not among the residuals
};

/// The network's inverse where there is one and it is exact, otherwise that of the field by iteration, voxel by voxel.
/// @param found  finished, see `finish_registration`
InverseField inverse_of(const Registration& found, const Grid& fixed);

}  // namespace regatta::app
