// Random smooth diffeomorphisms for made-up subjects: a velocity of Gaussian blobs, integrated by squaring.
// Where the blobs are is common to all subjects; their velocities are random mixtures of a few modes.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta::demo {

/// A displacement field, three components of `voxel_count(shape)` values each, in voxels.
struct Field {
  Shape3 shape{};
  std::vector<float> u;  ///< [3, D, H, W]
};

struct DeformationOptions {
  int blobs = 40;
  double deviation_vox = 16.0;  ///< mean width of a blob
  double strength_vox = 3.4;    ///< standard deviation of the velocity of a blob, per component
  int modes = 4;                ///< the subjects differ by this number of modes of variation, as a population does
  int squarings = 6;
};

/// The same field for the same (seed, subject), on every machine.
Field random_diffeomorphism(const Shape3& shape, const DeformationOptions& options, std::uint64_t seed,
                            std::uint32_t subject);

/// Trilinear (or nearest) sample of `values` at p + u(p); zero outside.
std::vector<float> warp_linear(const std::vector<float>& values, const Field& field);
std::vector<std::int16_t> warp_nearest(const std::vector<std::int16_t>& values, const Field& field);

}  // namespace regatta::demo
