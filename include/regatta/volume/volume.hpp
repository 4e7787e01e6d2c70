// Volumes in memory; volume_file.hpp reads them.
#pragma once

#include <cstdint>
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

/// True if the file says where the scan lies: an affine that is neither made up of the spacing alone (NIfTI with sform
/// and qform code 0) nor of no file at all (npz). @param affine_source  of a volume or header
bool has_space(const std::string& affine_source);

}  // namespace regatta
