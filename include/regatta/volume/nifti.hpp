// NIfTI files: writing volumes and displacement fields. Volumes are read through volume.hpp, fields through
// displacement.hpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "regatta/volume/geometry.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {

/// The codes and the qform that are written for a grid. The affine is the sform. ITK, ANTs and Slicer take a file whose
/// axes are not at right angles by its qform alone: the qform of `like` is kept, so that they put the file where they
/// put the original; else it is the nearest rotation, where that stays within `kQformShift` of the sform; else there is
/// none. Codes are those of `like`, or 1.
/// @param like  of the file that has this grid; none: {}
FileSpace written_space(const Grid& grid, const FileSpace& like);

inline constexpr double kQformShift = 0.1;  ///< voxels, at the corners of the volume

/// What other programs make of a file with this grid and this space: one line, or "" if they all agree with our reading
/// of it within `kQformShift`.
std::string space_doubt(const Grid& grid, const FileSpace& space);

/// Writes a scalar volume atomically as NIfTI-1, gzip (level 1) if the name ends in .gz. A `space_doubt` of the grid is
/// remarked on once per folder.
/// @param voxels  [D, H, W], as many as the grid has
/// @param like    see `written_space`
/// @throws DataError if a dimension exceeds 32767 or the disk refuses
void write_nifti(const std::filesystem::path& path, std::span<const float> voxels, const Grid& grid,
                 const FileSpace& like = {});
void write_nifti(const std::filesystem::path& path, std::span<const std::uint8_t> voxels, const Grid& grid,
                 const FileSpace& like = {});
void write_nifti(const std::filesystem::path& path, std::span<const std::int16_t> voxels, const Grid& grid,
                 const FileSpace& like = {});
void write_nifti(const std::filesystem::path& path, std::span<const std::int32_t> voxels, const Grid& grid,
                 const FileSpace& like = {});

/// Writes a 4-D series in the same way. @param voxels  [frames, D, H, W], 2..32767 frames
void write_nifti_series(const std::filesystem::path& path, std::span<const std::int16_t> voxels, const Grid& grid,
                        int frames, const FileSpace& like = {});

/// Writes a 4-D file one volume at a time; without `commit` nothing is left of it.
class NiftiSeriesWriter {
 public:
  enum class Type { kFloat32, kInt32 };

  /// @param frames      1..32767; 1 writes a file of three dimensions
  /// @param frame_step  seconds between volumes, 0: not said
  NiftiSeriesWriter(const std::filesystem::path& path, const Grid& grid, Type type, std::int64_t frames,
                    double frame_step = 0.0, const FileSpace& like = {});
  ~NiftiSeriesWriter();
  NiftiSeriesWriter(const NiftiSeriesWriter&) = delete;
  NiftiSeriesWriter& operator=(const NiftiSeriesWriter&) = delete;

  /// The next volume, [D, H, W], of the file's type.
  void add(std::span<const float> voxels);
  void add(std::span<const std::int32_t> voxels);

  /// @throws DataError if the disk refuses
  void commit();

 private:
  struct File;

  std::unique_ptr<File> file_;
};

/// Reads a file to its end, inflating it if it is gzip, and throws the bytes away. @return their number
std::uint64_t inflate_whole(const std::filesystem::path& path);

/// Writes a displacement field that ITK, ANTs and SimpleITK read as a transform: 5-D (X, Y, Z, 1, 3), intent 1007,
/// float32, components in LPS millimetres, fixed grid to moving point; scl_slope 1.
/// @param field  [3, D, H, W], voxels of `grid`, components in the order D, H, W
/// @param like   see `written_space`
void write_displacement(const std::filesystem::path& path, std::span<const float> field, const Grid& grid,
                        const FileSpace& like = {});

/// Writes a displacement field as Learn2Reg's evaluation and LUMIR's take it: 4-D (D, H, W, 3), float32, voxels of the
/// moving array.
/// @param field  as above, but between the two arrays: see `displacement_between`
/// @param like   see `written_space`
void write_learn2reg_displacement(const std::filesystem::path& path, std::span<const float> field, const Grid& grid,
                                  const FileSpace& like = {});

}  // namespace regatta
