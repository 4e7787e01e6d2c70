// Affine registration of two scans: twelve parameters by maximising their correlation, coarse to fine. All networks
// here assume pairs that are affinely aligned; this brings scans to that point, and says how well it went.
#pragma once

#include "regatta/volume/geometry.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {

/// Correlations below this are named as warnings.
inline constexpr double kPoorAlignment = 0.5;

struct AffineRegistration {
  /// RAS millimetres of the fixed scan to those of the moving one: moving seen at M x is what fixed shows at x.
  Affine fixed_to_moving{};
  double ncc_before = 0.0;  ///< correlation of the two within the fixed scan's foreground, centres of mass aligned
  double ncc_after = 0.0;   ///< the same at the end: below about 0.5 something is wrong
  double overlap = 0.0;     ///< share of the fixed scan's foreground that the moving scan's field of view covers
  int iterations = 0;       ///< over all levels
};

/// Starts from the centres of mass and from rotations of up to 20 degrees about each axis, goes on with the best start.
/// Levels of 8, 4 and 2 mm; from 4 mm on local means and contrasts are taken out first, so that bias fields and other
/// contrasts of one modality do not matter. The same result for any number of threads.
/// @param threads  0: all cores that the process may use
/// @throws DataError naming the file: no foreground (constant voxels), or the two never overlap
AffineRegistration register_affine(const Volume& fixed, const Volume& moving, int threads = 0);

/// Mean distance, in mm, between where two maps of millimetres put the corners and centres of a box that covers a grid.
double mean_distance(const Affine& a, const Affine& b, const Grid& grid);

}  // namespace regatta
