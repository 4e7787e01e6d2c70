// What the device's and the reference's mutual information share.
#pragma once

#include <array>
#include <cstdint>

#include "regatta/kernels/mutual_information.hpp"

namespace regatta::kernels {

constexpr double kInformationFloor = 1e-6;
constexpr int kParzenTable = kMostParzenBins * kMostParzenBins;
constexpr int kParzenThreads = 256;
constexpr int kParzenBlocks = 264;  ///< of a volume's histogram, on every chip: so sums are the same on all
constexpr int kCubesOfBlock = 4;    ///< a warp each

/// Cubes along an axis, and how many zeros come before the first voxel.
struct CubeAxis {
  std::int64_t cubes;
  std::int64_t before;
};

constexpr CubeAxis cube_axis(std::int64_t length, std::int64_t edge) {
  const std::int64_t missing = (edge - length % edge) % edge;
  return {(length + missing) / edge, missing / 2};
}

/// Of a whole batch.
inline std::int64_t cube_count(const VolumeSize& size, std::int64_t edge) {
  return size.n * cube_axis(size.d, edge).cubes * cube_axis(size.h, edge).cubes * cube_axis(size.w, edge).cubes;
}

}  // namespace regatta::kernels
