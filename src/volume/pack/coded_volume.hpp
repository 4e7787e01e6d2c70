// Scans as most files hold them, integers of at most 16 bits: kept as stored and counted on the way in, so that packing
// looks at no voxel as a float. What it gives is what `read_volume` and `prepare_image` give (test/unit/volume/
// coded_volume_test.cpp).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "regatta/base/large_vector.hpp"
#include "regatta/volume/preprocess.hpp"
#include "volume/grid/intensity.hpp"

namespace regatta {

/// value = number * slope + offset, rounded to float32; the number's 16 bits are the code.
struct CodedVolume {
  static constexpr std::size_t kCodes = 65536;

  Grid grid;  ///< [D, H, W]: the file's voxel indices i, j, k
  std::string source;
  std::string affine_source;
  bool is_signed = false;  ///< the numbers
  double slope = 1.0;
  double offset = 0.0;
  LargeVector<std::uint16_t> codes;   ///< in the file's order: d fastest, w slowest
  std::vector<std::uint64_t> counts;  ///< of voxels, by code
  LargeVector<std::uint8_t> scratch;  ///< of `prepare_packed`, here because its memory is used again

  int number_of(std::size_t code) const {
    return is_signed ? int{static_cast<std::int16_t>(code)} : static_cast<int>(code);
  }

  float value_of(std::size_t code) const {
    return static_cast<float>(static_cast<double>(number_of(code)) * slope + offset);
  }

  /// The values that occur, ascending.
  std::vector<ValueCount> values() const;
};

/// Reads an image of such a file into `out`, whose memory is used again. @return false for another kind of file or
/// type of voxel, or values that are no finite float32: `read_volume` reads those, or says what is wrong
/// @param frame  as in `read_volume` @throws DataError as `read_volume`
bool read_coded_volume(const std::filesystem::path& path, int frame, CodedVolume& out);

/// The same as floats, as `read_volume` gives them.
Volume to_volume(const CodedVolume& volume);

/// As the function for float volumes. @throws DataError
GridMap map_to_packed_grid(const CodedVolume& volume, const PreprocessOptions& options);

/// What `prepare_packed` gives of the float volume, for type uint8 and any `intensity.kind` but none: the same bytes
/// where axes are only turned, else within 1 of them (float32 sums, one axis after another).
/// @param memory  for the bytes, of any size
PackedVoxels prepare_packed(CodedVolume& volume, const GridMap& map, const PreprocessOptions& options,
                            const IntensityOptions& intensity, int threads = 0, LargeVector<std::byte> memory = {});

}  // namespace regatta
