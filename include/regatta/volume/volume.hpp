// Volumes in memory and the reading of volume files of any kind that we know (NIfTI, VoxelMorph's npz).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// A scalar image, [D, H, W] with w fastest in memory; D, H, W are the file's voxel indices i, j, k.
struct Volume {
  Grid grid;
  std::vector<float> voxels;
  std::string affine_source;  ///< where the affine is from: sform, qform, pixdim or none (npz)
  std::string source;         ///< the file, for messages
};

/// A label map on such a grid.
struct LabelVolume {
  Grid grid;
  std::vector<std::int32_t> labels;
  std::string affine_source;
  std::string source;
};

/// Values of a file that become 0 and 1.
struct IntensityRange {
  double low = 0.0;
  double high = 1.0;

  bool operator==(const IntensityRange&) const = default;
};

enum class VolumePart { kImage, kLabels };

/// What a file's header says; nothing of the voxels is read.
struct VolumeHeader {
  Grid grid;
  std::string voxel_type;  ///< "int16", "float64" ...
  std::string affine_source;
};

/// Reads an image: `.nii`, `.nii.gz` (any integer or float type, scl_slope applied) or `.npz` (its array `vol`).
/// @param npz_orientation  npz files carry no affine: they get 1 mm and these axes
/// @throws DataError, one line that names the file: missing, truncated, not such a file, implausible header,
///         singular affine, NaN or infinite voxels
Volume read_volume(const std::filesystem::path& path, const std::string& npz_orientation = "RAS");

/// Reads a label map: as `read_volume`, from npz the array `seg`. @throws DataError also for values that are no
/// 32-bit integers
LabelVolume read_label_volume(const std::filesystem::path& path, const std::string& npz_orientation = "RAS");

/// The header alone, checked as the readers check it.
VolumeHeader read_volume_header(const std::filesystem::path& path, VolumePart part,
                                const std::string& npz_orientation = "RAS");

/// True for a name that ends in .nii, .nii.gz or .npz.
bool is_volume_name(const std::filesystem::path& path);

}  // namespace regatta
