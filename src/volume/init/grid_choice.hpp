// Orientation, spacing, shape and intensity of the packed volumes, chosen from a survey.
#pragma once

#include <string>
#include <vector>

#include "regatta/volume/preprocess.hpp"
#include "volume/init/place_choice.hpp"
#include "volume/init/survey.hpp"

namespace regatta {

struct GridChoice {
  PreprocessOptions preprocess;
  std::vector<std::string> reasons;  ///< one line a choice
};

/// @param found  gets notes of scans that differ from the rest
GridChoice choose_grid(FoundSet& found, const Survey& survey, const PlaceChoice& place);

/// Sizes of at least `least` that networks take: multiples of 32 where that costs less than 15 % more voxels than
/// multiples of 16, which are taken otherwise.
Shape3 network_shape(const Shape3& least);

}  // namespace regatta
