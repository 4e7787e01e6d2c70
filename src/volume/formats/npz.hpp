// VoxelMorph's npz files: a zip archive of npy arrays. Reads one array by name; no pickle, no object arrays.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "regatta/volume/volume.hpp"

namespace regatta {

/// Shape and type of an array, 3-D after axes of length 1 at the front and the back are dropped.
struct NpzArray {
  Shape3 shape{};
  std::string voxel_type;
  std::int64_t rounded = 0;  ///< labels that were whole but for rounding
};

/// Reads the array `name`.npy into `image` or `labels` (exactly one is not null; both null: the header alone).
/// @throws DataError naming the file and the array: not a zip, no such array, damaged, other than numbers
NpzArray read_npz(const std::filesystem::path& path, const std::string& name, std::vector<float>* image,
                  std::vector<std::int32_t>* labels);

/// A displacement field as an array of four axes, one of which, the first or the last, are the three components.
struct NpzField {
  Shape3 shape{};
  std::vector<float> values;  ///< [3, D, H, W]
};

/// Reads the array of a file that has one; of several `arr_0` (NumPy's name where none is given), else `vol`
/// (VoxelMorph's). @throws DataError as `read_npz`
NpzField read_npz_field(const std::filesystem::path& path);

}  // namespace regatta
