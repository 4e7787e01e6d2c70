// Affine registration of two scans: twelve parameters by maximising their correlation, coarse to fine. All networks
// here assume pairs that are affinely aligned; this brings scans to that point, and says how well it went.
#pragma once

#include <string>

#include "regatta/volume/geometry.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {

/// Alignments with less local correlation are named as warnings. Two heads turned against each other reach 0.42, those
/// of two persons aligned 0.63 to 0.73.
inline constexpr double kPoorAlignment = 0.5;

/// Counts up when the same scans give another result than before.
inline constexpr int kAlignmentVersion = 2;

struct AffineRegistration {
  /// RAS millimetres of the fixed scan to those of the moving one: moving seen at M x is what fixed shows at x.
  Affine fixed_to_moving{};
  double ncc_before = 0.0;  ///< local correlation of the two within the fixed scan's foreground, at 4 mm, local means
                            ///< and contrasts taken out, so that outlines alone do not count; centres of mass aligned
  double ncc_after = 0.0;   ///< the same at the end
  double overlap = 0.0;     ///< share of the fixed scan's foreground that the moving scan's field of view covers
  int iterations = 0;       ///< over all levels
};

/// Starts from the centres of mass and from rotations of up to 20 degrees about each axis, continues with the best
/// start. Levels of 8, 4 and 2 mm; from 4 mm on local means and contrasts are taken out first, so that bias fields and
/// other contrasts of one modality do not matter. The same result for any number of threads.
/// @param threads  0: all cores that the process may use
/// @throws DataError naming the file: see `require_alignable`, or the two never overlap enough
AffineRegistration register_affine(const Volume& fixed, const Volume& moving, int threads = 0);

/// @throws DataError naming the file: no foreground (constant voxels), or an axis too short to align by
void require_alignable(const Volume& volume, int threads = 0);

/// What is doubtful of an alignment, "" if nothing: a poor local correlation, volumes that shrink or grow out of
/// proportion, or a reflection.
std::string alignment_doubt(double ncc, const Affine& fixed_to_moving);

/// Mean distance, in mm, between where two maps of millimetres put the corners and centres of a box that covers a grid.
double mean_distance(const Affine& a, const Affine& b, const Grid& grid);

}  // namespace regatta
