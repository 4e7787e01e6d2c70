// One level of the pyramid on which two scans are registered: a smoothed copy of a scan on a coarse grid of its own
// axes, with what registration wants to know of it. Private to the affine registration.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/volume/volume.hpp"

namespace regatta {

struct Level {
  Grid grid;
  std::vector<float> values;
  std::vector<std::uint8_t> foreground;  ///< 1 above Otsu's threshold
  std::vector<std::uint8_t> mask;        ///< 1 in the foreground and up to a margin around it
};

/// @param spacing_mm  of the level; axes that are coarser already keep their spacing
/// @param normalise   take local mean and contrast out
Level make_level(const Volume& volume, double spacing_mm, bool normalise, int threads);

/// Centre of mass of the foreground, RAS mm. @throws DataError naming the file if there is none
Point3 centre_of_mass(const Level& level, const std::string& source);

}  // namespace regatta
