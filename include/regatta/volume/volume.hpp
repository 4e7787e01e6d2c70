// Volumes in memory and the reading of volume files of any kind that we know (NIfTI, VoxelMorph's npz).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

/// What a file's header says of its place beside the affine that is used. Files on the same grid are written with it,
/// so that other programs put them where they put the original.
struct FileSpace {
  int sform_code = 0;           ///< NIfTI's: 1 scanner, 2 aligned, 3 Talairach, 4 MNI; 0: no sform
  int qform_code = 0;           ///< the same of the qform; 0: none, or none that is usable
  std::optional<Affine> qform;  ///< voxel to RAS millimetres, with a code above 0

  /// Of the form that the affine is from; 0: the file does not say where it lies.
  int code() const { return sform_code > 0 ? sform_code : qform_code; }
};

/// A scalar image, [D, H, W] with w fastest in memory; D, H, W are the file's voxel indices i, j, k.
struct Volume {
  Grid grid;
  std::vector<float> voxels;
  std::string affine_source;  ///< where the affine is from: sform, qform, vox2ras (mgh), pixdim or none (npz)
  std::string source;         ///< the file, for messages
  FileSpace space = {};
};

/// A label map on such a grid.
struct LabelVolume {
  Grid grid;
  std::vector<std::int32_t> labels;
  std::string affine_source;
  std::string source;
  std::int64_t rounded = 0;  ///< values of the file that were whole but for rounding
};

/// Labels this close to a whole number are that number: programs that store them with a slope give 2.99985.
inline constexpr double kLabelRounding = 0.01;

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
  FileSpace space = {};
};

/// True if the file says where the scan lies: an affine that is neither made up of the spacing alone (NIfTI with sform
/// and qform code 0) nor of no file at all (npz). @param affine_source  of a volume or header
bool has_space(const std::string& affine_source);

/// Reads an image: NIfTI (`.nii`, `.nii.gz`, either file of a pair `.hdr` with `.img` or `.img.gz`; any integer or
/// float type, scl_slope applied), FreeSurfer's `.mgz` or `.mgh`, or `.npz` (its array `vol`). A NIfTI header whose
/// bitpix contradicts its datatype, and bytes behind the voxels, are remarked on (base/remarks).
/// @param npz_orientation  npz files carry no affine: they get 1 mm and these axes
/// @param frame  which volume of a 4-D file, from 0; -1: the file must hold one. The others are skipped, not held
/// @throws DataError, one line that names the file: missing, truncated, not such a file, implausible header, no such
///         frame, singular affine, NaN or infinite voxels
Volume read_volume(const std::filesystem::path& path, const std::string& npz_orientation = "RAS", int frame = -1);

/// Reads a label map: as `read_volume`, from npz the array `seg`. Values within `kLabelRounding` of a whole number are
/// rounded, and a remark says how many. @throws DataError also for values that are no 32-bit integers
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
