// Made-up lungs in CT values, breathed out and in, in the layout of a Learn2Reg release. No anatomy: ellipsoids,
// vessels as spheres, and key-points at their centres.
#pragma once

#include <filesystem>

namespace regatta::demo {

/// FOLDER/lung_phantom: imagesTr, masksTr, keypointsTr and LungPhantom_dataset.json; four pairs to train on, two to
/// validate. _0000 (breathed out) is fixed, _0001 (breathed in) moving, as in NLST.
/// @param half  32 voxels along each axis instead of 64
void make_lungs(const std::filesystem::path& folder, bool half);

}  // namespace regatta::demo
