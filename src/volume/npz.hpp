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
};

/// Reads the array `name`.npy into `image` or `labels` (exactly one is not null; both null: the header alone).
/// @throws DataError naming the file and the array: not a zip, no such array, damaged, other than numbers
NpzArray read_npz(const std::filesystem::path& path, const std::string& name, std::vector<float>* image,
                  std::vector<std::int32_t>* labels);

}  // namespace regatta
