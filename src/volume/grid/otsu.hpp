// Which voxels of a scan are foreground.
#pragma once

#include <span>

namespace regatta {

/// Otsu's threshold: splits the histogram where the variance between the two parts is largest; the one value of
/// constant voxels.
float otsu_threshold(std::span<const float> values);

}  // namespace regatta
