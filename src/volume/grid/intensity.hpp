// Which values of a file become 0 and 1.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "regatta/volume/preprocess.hpp"

namespace regatta {

/// Least and largest.
std::array<float, 2> extremes(std::span<const float> values);

/// @param above  foreground is what is larger
/// @throws DataError naming the file: constant voxels, no foreground, nothing between the two
IntensityRange intensity_range(const Volume& volume, const IntensityOptions& options, double above);

/// A voxel of the file as an archive's byte: round(255 v), v the share of the way from low to high, within 0..1.
/// @param scale  1 / (high - low)
inline std::uint8_t packed_byte(float voxel, double low, double scale) {
  const auto value = static_cast<float>(std::clamp((double{voxel} - low) * scale, 0.0, 1.0));
  return static_cast<std::uint8_t>(static_cast<int>(value * 255.0F + 0.5F));
}

/// @throws DataError if all bytes are equal: nothing is left of the image
void require_varied(std::span<const std::byte> bytes, const std::string& source);

/// A value that occurs, and how many voxels have it.
struct ValueCount {
  float value = 0.0F;
  std::uint64_t count = 0;
};

/// The same of voxels that were counted. @param values  ascending; none twice, none without voxels
IntensityRange intensity_range(std::vector<ValueCount> values, const std::string& source,
                               const IntensityOptions& options, double above);

}  // namespace regatta
