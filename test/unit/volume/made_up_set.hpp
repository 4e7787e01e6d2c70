// A set of made-up scans with labels: heads of a nearly symmetric brain, each of its own pose, size and contrast.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "regatta/volume/archive_writer.hpp"

namespace regatta::test {

inline constexpr Shape3 kSetShape = {40, 48, 36};
inline constexpr Spacing3 kSetSpacing = {4.0, 4.0, 5.0};
inline constexpr const char* kSetOrientation = "RAS";

struct MadeUpScan {
  ArchiveSubject row;
  std::vector<std::uint8_t> image;
  std::vector<std::uint8_t> labels;  ///< 1 body, 2 left, 3 right, 4 front, 5 top; empty: none
  std::vector<std::uint8_t> mask;    ///< empty: none
};

/// @param number  of the subject: its pose (up to 10 degrees, 8 %, 8 mm), the places and sizes of its parts, its noise
MadeUpScan made_up_scan(std::uint64_t number);

/// What a wrong header makes of a scan: packed voxel x shows what was at turn * x, about the middle of the grid.
/// @param axis  where each new axis comes from; flip: runs backwards. Voxels beyond the grid are 0.
void turn_scan(MadeUpScan& scan, const AxisMap& turn);

/// Voxels as they would be seen in a grid whose axes are permuted and reversed; 0 beyond.
std::vector<std::uint8_t> turned(const std::vector<std::uint8_t>& voxels, const Shape3& shape, const AxisMap& turn);

/// Packs scans; every scan of split train is the fixed image of a pair with the first as moving image.
void write_set(const std::filesystem::path& path, const std::vector<MadeUpScan>& scans, const Shape3& shape = kSetShape,
               const Spacing3& spacing = kSetSpacing, const std::string& orientation = kSetOrientation);

}  // namespace regatta::test
