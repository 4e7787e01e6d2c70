// Do the labels of a subject lie to each other as they do in the others? Where left and right have labels of their own,
// labels on exchanged sides are the strongest sign of a mirrored scan. Private to the inspection.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

inline constexpr std::size_t kLeastLabelled = 5;      ///< subjects, below which nothing is said
inline constexpr std::size_t kLeastPlaces = 3;        ///< labels that a subject must have
inline constexpr double kPlacesMargin = 0.1;          ///< of correlation, in favour of another arrangement
inline constexpr double kMostSymmetricPlaces = 0.95;  ///< correlation of the usual places with their mirror image
inline constexpr double kMostAlongSides = -0.8;       ///< the same of places along a line: from left to right

/// Centres of one subject's labels, mm along D, H, W.
struct LabelPlaces {
  std::vector<bool> present;  ///< one a label
  std::vector<Point3> centres;
};

struct PlacesVerdict {
  bool judged = false;
  double as_is = 0.0;     ///< correlation of the centres with the usual ones
  double mirrored = 0.0;  ///< once left and right are exchanged
  double best_other = 0.0;
  std::string best_code;  ///< the other axes that fit best, as an orientation code
  bool sides_exchanged = false;
  bool wrong_axes = false;
};

/// One verdict a subject; subjects without labels (nothing present) are not judged.
std::vector<PlacesVerdict> check_label_places(std::span<const LabelPlaces> subjects, const std::string& orientation);

}  // namespace regatta
