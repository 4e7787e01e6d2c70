// The brain that the made-up subjects are deformed from: Colin-27 with AAL labels, or a phantom where it is absent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta::demo {

struct Brain {
  std::string source;  ///< "Colin-27 with AAL labels" or "phantom"
  Grid grid;
  std::vector<float> image;          ///< [D, H, W]
  std::vector<std::int16_t> labels;  ///< [D, H, W]
};

/// ch2bet.nii.gz and aal.nii.gz of the package mricron-data at half resolution, labels of each side merged in fours.
/// @param folder  where the two files are
Brain read_colin(const std::filesystem::path& folder);

/// An ellipsoid of 30 regions with different intensities.
Brain make_phantom(std::uint64_t seed);

}  // namespace regatta::demo
