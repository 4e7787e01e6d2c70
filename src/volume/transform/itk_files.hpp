// Files in which ITK and ANTs keep transforms.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "volume/transform/itk_transform.hpp"

namespace regatta {

/// HDF5, group /TransformGroup. @throws DataError, one line that names the file
std::vector<ItkTransform> read_itk_h5(const std::filesystem::path& path);

/// "#Insight Transform File V1.0". @throws DataError naming file and line
std::vector<ItkTransform> read_itk_text(std::string_view text, const std::string& source);

/// True for bytes that begin a MATLAB file of version 4 with one vector of parameters.
bool is_itk_matlab(std::string_view bytes);

/// ANTs' `.mat`: MATLAB's version 4, pairs of vectors, the first of each named by the type.
std::vector<ItkTransform> read_itk_matlab(std::string_view bytes, const std::string& source);

}  // namespace regatta
