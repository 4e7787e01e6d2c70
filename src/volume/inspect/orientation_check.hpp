// Does a scan lie in its grid as the others of its set do? Every scan is compared with the mean of the others as it is,
// mirrored, and with its axes exchanged. Private to the inspection of archives; docs/inspect.md explains the rule.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "volume/affine/affine_level.hpp"

namespace regatta {

inline constexpr std::size_t kLeastForOrientation = 5;  ///< scans, below which wrong axes are not looked for
inline constexpr std::size_t kLeastForMirrored = 8;     ///< scans, below which left/right is not looked at
inline constexpr double kWrongAxesDeviation = 4.0;      ///< robust standard deviations below the usual fit
inline constexpr double kLeastFitDeviation = 0.01;      ///< smallest usual deviation of a fit
inline constexpr double kWrongAxesShare = 0.6;          ///< of what a fit lacks to 1: other axes must lack less
inline constexpr double kMirroredAsymmetry = -0.3;      ///< correlation with the set's asymmetry: mirrored below it
inline constexpr double kLeastCommonAsymmetry = 0.2;    ///< the set's median: below it nothing can be said
inline constexpr double kLeastAsymmetrySize = 0.03;     ///< of the scan's own contrast; the set's median: likewise
inline constexpr double kMirroredDeviation = 4.0;       ///< robust standard deviations below the median

/// A scan on a coarse grid in a space of its own: the middle of its grid at the origin, axes D, H, W, the longest edge
/// 224 long; values have mean 1 in the foreground.
/// @param image  [D, H, W]
Level make_coarse_scan(std::span<const float> image, const Shape3& shape, const Spacing3& spacing);

struct OrientationVerdict {
  bool judged = false;  ///< there are enough scans, and this one is not empty
  double as_is = 0.0;   ///< correlation of its details with those of the mean of the others, after alignment
  double best_other = std::numeric_limits<double>::quiet_NaN();  ///< of the best other axes; NaN: not tried
  std::string best_code;                                         ///< those axes as an orientation code
  bool wrong_axes = false;
  double mirrored_fit = 0.0;    ///< correlation once left and right are exchanged
  double asymmetry = 0.0;       ///< correlation of its left/right asymmetry with that of the others
  double asymmetry_size = 0.0;  ///< deviation of that asymmetry, as a share of the scan's
  bool mirrored = false;
};

struct OrientationCheck {
  std::vector<OrientationVerdict> scans;
  double common_asymmetry = 0.0;  ///< median of `asymmetry`
  bool sides_told = false;        ///< left and right can be told apart from the images of this set
};

/// @param groups       scans of one group are not compared with each other
/// @param orientation  code of the packed grid
/// Memory: 0.1 MB for each of at most 64 scans. The same for any number of threads.
OrientationCheck check_orientations(std::span<const Level> scans, std::span<const std::string> groups,
                                    const std::string& orientation, int threads);

}  // namespace regatta
