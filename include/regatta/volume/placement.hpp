// Where the moving scan of a pair lies before anything is registered. One rule for two scans, as `regatta register`
// has them; of a whole data set it is PreprocessOptions::place. docs/data.md tells both.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regatta/volume/preprocess.hpp"

namespace regatta {

/// Two scans of a pair whose foregrounds overlap less (Dice) are named.
inline constexpr double kPoorOverlap = 0.5;

/// Where headers say is where scans stay if they then overlap at least this part as well as about their middles.
inline constexpr double kAsGoodAsCentred = 0.9;

/// What of a scan is not background, at 4 mm.
struct Foreground {
  Grid grid;                         ///< of its own axes and field of view
  std::vector<std::uint8_t> inside;  ///< [D, H, W], 1 above Otsu's threshold
  Point3 centre{};                   ///< of mass, RAS mm
};

/// @throws DataError naming the file if there is no foreground: constant voxels
Foreground foreground_of(const Volume& volume, int threads = 0);

/// Dice of two foregrounds where both fields of view are; 0 where these hold less than a quarter of either foreground.
/// @param fixed_to_moving  RAS mm of the fixed scan to those of the moving one
double overlap_of(const Foreground& fixed, const Foreground& moving, const Affine& fixed_to_moving);

/// Where a moving scan lies.
struct Placement {
  std::string rule;                                      ///< physical, centre, foreground; affine, if it was aligned
  Affine fixed_to_moving = identity_affine();            ///< RAS mm of the fixed scan to those of the moving one
  double overlap = 0.0;                                  ///< of the foregrounds, see `overlap_of`
  std::vector<std::pair<std::string, double>> overlaps;  ///< the same by each rule that could be taken
  bool common_space = true;                              ///< both files say where they lie
};

/// The affine for a moving scan where it and the fixed one have no common space: it then lies about the fixed scan's
/// middle, axis by axis, as both are packed.
Affine affine_in_space_of(const Volume& fixed, const Volume& moving, const PreprocessOptions& options);

/// Physical where the foregrounds then overlap nearly as well as about the middles (`kAsGoodAsCentred`), else by the
/// foregrounds' centres of mass. Scans without a common space: about their middles.
/// @param moving  with the affine of `affine_in_space_of` if there is no common space
/// @param asked   physical, centre or foreground; empty: decided as above
/// @throws ConfigError if physical is asked for and one of them has no space; DataError: see `foreground_of`
Placement place_moving(const Volume& fixed, const Volume& moving, const PreprocessOptions& options,
                       const std::string& asked = "", int threads = 0);

/// After an alignment. @param fixed_to_moving  that it found
void move_placement(Placement& placement, const Volume& fixed, const Volume& moving, const Affine& fixed_to_moving,
                    int threads = 0);

/// What is doubtful, with the option of `regatta register` that would help; "" if nothing.
std::string placement_doubt(const Placement& placement);

/// The moving scan's image on the fixed one's packed grid.
PreparedImage prepare_moving(const Volume& moving, const Grid& fixed_packed, const Placement& placement,
                             const PreprocessOptions& options, const IntensityOptions& intensity, int threads = 0);

/// The value of what a scanner has not seen: the median of the background (the voxels up to Otsu's threshold).
float background_of(const Volume& volume);

}  // namespace regatta
