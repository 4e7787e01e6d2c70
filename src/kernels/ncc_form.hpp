// How the NCC kernels cut an image: columns of tiles along D. A warp holds 64 columns of two rows, two columns a lane;
// those at the sides are there for the sums of the others. Shared by the kernels and the sizes that need no compiler.
#pragma once

#include <cstddef>

#include "regatta/kernels/ncc.hpp"

namespace regatta::kernels {

constexpr double kNccFloor = 1e-5;                      ///< of sums: the number of VoxelMorph's code
constexpr double kNccEpsilon = 1.1920928955078125e-07;  ///< of float32: the floor of products of mean variances
constexpr int kNccThreads = 512;
constexpr int kNccRows = 2 * kNccThreads / 32;  ///< read, two a warp
constexpr int kNccColumns = 64;                 ///< read
constexpr int kNccStages = 2;                   ///< planes on their way in the backward pass

struct NccTile {
  int halo;     ///< lanes at each side
  int columns;  ///< written
  int rows;     ///< written, a multiple of `each`
  int each;     ///< rows a thread writes
};

/// Threads of the second half: columns x rows / each, at most kNccThreads. `rows` + 2 radius rows are read.
constexpr NccTile ncc_tile(int radius) {
  const int halo = (radius + 1) / 2;
  const int columns = kNccColumns - 4 * halo;
  return radius <= 4 ? NccTile{halo, columns, 24, 3} : NccTile{halo, columns, 18, 2};
}

/// 32-bit words a voxel between the x and the y sums of the forward pass.
constexpr int ncc_words(int radius, FixedImage type) {
  return type == FixedImage::kFixedPoint ? 8 : radius <= 4 ? 6 : 7;
}

/// Two planes of x sums.
constexpr std::size_t ncc_forward_shared_bytes(const NccTile& tile, int words) {
  return std::size_t{2} * sizeof(unsigned) * static_cast<std::size_t>(words * kNccRows * tile.columns);
}

/// Two planes of x sums of three coefficients, and the planes on their way.
constexpr std::size_t ncc_backward_shared_bytes(const NccTile& tile) {
  return std::size_t{3} * sizeof(float) *
         static_cast<std::size_t>(kNccRows * (2 * tile.columns + kNccStages * kNccColumns));
}

}  // namespace regatta::kernels
