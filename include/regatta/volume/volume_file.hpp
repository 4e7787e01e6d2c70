// The reading of volume files of any kind that we know (NIfTI, FreeSurfer's mgz, VoxelMorph's npz).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "regatta/volume/volume.hpp"

namespace regatta {

enum class VolumePart { kImage, kLabels };

/// What a file's header says; nothing of the voxels is read.
struct VolumeHeader {
  Grid grid;
  std::string voxel_type;  ///< "int16", "float64" ...
  std::string affine_source;
  std::int64_t frames = 1;  ///< volumes in the file
  FileSpace space = {};
  double frame_step = 0.0;  ///< seconds between volumes; 0 where the file does not say
  bool whole = false;       ///< integers without a scale: every value is a whole number
};

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

/// The volumes of a file of several, one after the other, without holding or reading any of them twice.
class VolumeSeries {
 public:
  /// @throws DataError as `read_volume_header`; npz files hold one volume
  explicit VolumeSeries(const std::filesystem::path& path, const std::string& npz_orientation = "RAS");
  ~VolumeSeries();
  VolumeSeries(const VolumeSeries&) = delete;
  VolumeSeries& operator=(const VolumeSeries&) = delete;

  const VolumeHeader& header() const { return header_; }

  /// The next volume, [D, H, W]; to be called `header().frames` times at most. @throws DataError as the readers
  std::vector<float> next_image();
  std::vector<std::int32_t> next_labels();

 private:
  struct File;

  std::filesystem::path path_;
  std::string npz_orientation_;
  std::unique_ptr<File> file_;  ///< none for npz
  VolumeHeader header_;
};

/// True for a name that ends as one of these files' names do.
bool is_volume_name(const std::filesystem::path& path);

/// Those endings, for messages.
const char* volume_endings();

}  // namespace regatta
