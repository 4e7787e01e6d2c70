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
  std::int64_t frames = 1;  ///< volumes in the file
  int space_code = 0;       ///< NIfTI's code of the form that the affine is from: 3 Talairach, 4 MNI 152; 0: no space
};

/// True if the file says where the scan lies: an affine that is neither made up of the spacing alone (NIfTI with sform
/// and qform code 0) nor of no file at all (npz). @param affine_source  of a volume or header
bool has_space(const std::string& affine_source);

/// Reads an image: NIfTI (`.nii`, `.nii.gz`, either file of a pair `.hdr` with `.img` or `.img.gz`; any integer or
/// float type, scl_slope applied) or `.npz` (its array `vol`).
/// @param npz_orientation  npz files carry no affine: they get 1 mm and these axes
/// @param frame  which volume of a 4-D file, from 0; -1: the file must hold one. The others are skipped, not held
/// @throws DataError, one line that names the file: missing, truncated, not such a file, implausible header, no such
///         frame, singular affine, NaN or infinite voxels
Volume read_volume(const std::filesystem::path& path, const std::string& npz_orientation = "RAS", int frame = -1);

/// Reads a label map: as `read_volume`, from npz the array `seg`. @throws DataError also for values that are no
/// 32-bit integers
LabelVolume read_label_volume(const std::filesystem::path& path, const std::string& npz_orientation = "RAS",
                              int frame = -1);

/// The header alone, checked as the readers check it. With frame 0, of any file: its `frames` says how many there are.
VolumeHeader read_volume_header(const std::filesystem::path& path, VolumePart part,
                                const std::string& npz_orientation = "RAS", int frame = -1);

/// True for a name that ends as one of these files' names do.
bool is_volume_name(const std::filesystem::path& path);

/// Those endings, for messages.
const char* volume_endings();

}  // namespace regatta
