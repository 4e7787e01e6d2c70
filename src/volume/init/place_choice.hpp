// How the scans of a found set lie to each other: where their headers say, or each about its own middle.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "volume/init/survey.hpp"

namespace regatta {

struct PlaceChoice {
  std::string place = "centre";         ///< PreprocessOptions::place
  std::string reason;                   ///< why
  std::vector<std::size_t> references;  ///< of each subject the one whose grid it shares; itself where place is centre
};

/// Physical if all pairs are within groups of one scanning session, if all headers name one template (codes 3 and
/// above: Talairach, MNI 152, others), or if the grids that pairs join coincide; else centre. Scans that do not say
/// where they lie: centre.
/// @param pairs  as `choose_pairs` gave them
PlaceChoice choose_place(const ScanTree& tree, const FoundSet& found, const Survey& survey, const PairRule& pairs);

}  // namespace regatta
