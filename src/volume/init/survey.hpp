// What the headers of all scans and the voxels of a few of them say.
#pragma once

#include <array>
#include <set>
#include <string>
#include <vector>

#include "volume/layouts/layout.hpp"

namespace regatta {

/// One subject whose header could be read.
struct SurveyedScan {
  std::size_t subject = 0;  ///< index into FoundSet::subjects
  Grid grid;
  std::string orientation;
};

/// Voxels of one image of a subject that was looked into.
struct SampledImage {
  std::size_t subject = 0;
  std::string modality;  ///< "" where the set names none
  double least = 0.0;
  double most = 0.0;
  double zeros = 0.0;                  ///< part of the voxels that are exactly 0
  bool is_ct = false;                  ///< values reach down to air, about -1000
  std::array<Point3, 2> foreground{};  ///< corners of the bounding box, voxels of the file: above 0, of CT above -500
};

struct Survey {
  std::vector<SurveyedScan> scans;
  std::vector<SampledImage> samples;
  std::vector<std::set<std::int32_t>> label_values;  ///< of the sampled label maps
  std::vector<std::size_t> labelled;                 ///< their subjects
};

/// Foreground of CT is what is denser.
inline constexpr double kCtForeground = -500.0;

/// Subjects with an unreadable header or image are removed from `found`, label maps and masks that do not lie on their
/// image's grid are taken from theirs; each with a note.
Survey survey(const ScanTree& tree, FoundSet& found);

/// Uniform in [0, 1), a function of the text alone.
double unit_hash(const std::string& text);

}  // namespace regatta
