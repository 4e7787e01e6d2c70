// A made-up head without any symmetry, whole, cut and turned: for the tests of where scans lie.
#pragma once

#include "regatta/volume/volume.hpp"

namespace regatta::test {

/// Smooth ellipsoids in an ellipsoid, values 0..1, axes RAS with an sform. @param size  of the whole head
Volume head(const Shape3& shape, double spacing, double size = 1.0);

/// Voxels begin..end of one axis, in the same space.
Volume cut(const Volume& volume, std::size_t axis, std::int64_t begin, std::int64_t end);

/// A grid of the same shape and spacing turned about its middle (all three axes) and moved.
Grid turned_grid(const Grid& grid, double degrees, const Point3& shift_mm);

}  // namespace regatta::test
