// Made-up beating hearts in the layout of the ACDC release: a ring of muscle around a blood pool, a crescent beside it.
#pragma once

#include <filesystem>

namespace regatta::demo {

/// FOLDER/heart_phantom/training/patientNNN: the 4-D series, its ED and ES frames with labels (1 right ventricle,
/// 2 muscle, 3 left ventricle) and Info.cfg; five patients.
/// @param half  slices of 32 x 32 voxels instead of 64 x 64
void make_hearts(const std::filesystem::path& folder, bool half);

}  // namespace regatta::demo
