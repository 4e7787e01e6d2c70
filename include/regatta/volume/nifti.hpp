// NIfTI files: writing volumes and displacement fields. Volumes are read through volume.hpp, fields through
// displacement.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// Writes a scalar volume atomically as NIfTI-1, gzip (level 1) if the name ends in .gz.
/// The affine goes into the sform (code 1) and, where it is a rotation with spacing, into the qform as well.
/// @param voxels  [D, H, W], as many as the grid has
/// @throws DataError if a dimension exceeds 32767 or the disk refuses
void write_nifti(const std::filesystem::path& path, std::span<const float> voxels, const Grid& grid);
void write_nifti(const std::filesystem::path& path, std::span<const std::uint8_t> voxels, const Grid& grid);
void write_nifti(const std::filesystem::path& path, std::span<const std::int16_t> voxels, const Grid& grid);
void write_nifti(const std::filesystem::path& path, std::span<const std::int32_t> voxels, const Grid& grid);

/// Writes a 4-D series in the same way. @param voxels  [frames, D, H, W], 2..32767 frames
void write_nifti_series(const std::filesystem::path& path, std::span<const std::int16_t> voxels, const Grid& grid,
                        int frames);

/// Reads a file to its end, inflating it if it is gzip, and throws the bytes away. @return their number
std::uint64_t inflate_whole(const std::filesystem::path& path);

/// Writes a displacement field that ITK, ANTs and SimpleITK read as a transform: 5-D (X, Y, Z, 1, 3), intent 1007,
/// float32, components in LPS millimetres, fixed grid to moving point; scl_slope 1.
/// @param field  [3, D, H, W], voxels of `grid`, components in the order D, H, W
void write_displacement(const std::filesystem::path& path, std::span<const float> field, const Grid& grid);

/// Writes a displacement field as Learn2Reg's evaluation and LUMIR's take it: 4-D (D, H, W, 3), float32, voxels of the
/// moving array. @param field  as above, but between the two arrays: see `displacement_between`
void write_learn2reg_displacement(const std::filesystem::path& path, std::span<const float> field, const Grid& grid);

}  // namespace regatta
