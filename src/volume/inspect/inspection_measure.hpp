// One subject of an archive as numbers and thumbnails: all that the rules need. Private to the inspection.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/volume/inspection.hpp"
#include "volume/affine/affine_level.hpp"

namespace regatta {

struct SubjectMeasure {
  SubjectInspection shown;                 ///< but its findings
  std::vector<std::int64_t> label_voxels;  ///< one a label id
  std::vector<Point3> label_centres;       ///< mm along D, H, W; of labels that have voxels
  std::uint64_t image_hash = 0;            ///< of the packed voxels of all modalities
  std::uint64_t labels_hash = 0;
  std::vector<float> thumbnail;  ///< 16^3 box means of the first modality: mean 0, length 1; empty if constant
  Level scan;                    ///< for the orientation check
};

/// Reads the subject's volumes. @throws DataError for a damaged one
SubjectMeasure measure_subject(const Archive& archive, std::int64_t subject);

}  // namespace regatta
