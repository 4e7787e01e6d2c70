// Mutual information of two images by Parzen windows, negated, and its derivatives: of all voxels, or of cubes that
// tile the volume. Each voxel belongs to all bins with Gaussian weights that add up to 1; bins' centres are evenly
// spaced in [0, 1], the first at 0 and the last at 1, and intensities outside are moved to the ends. Of a joint
// histogram p with margins p_a, p_b: sum of p log(p / (p_a p_b + 1e-6) + 1e-6).
#pragma once

#include <cstddef>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

inline constexpr int kMostParzenBins = 32;
inline constexpr int kMostParzenCube = 16;

struct ParzenPair {
  const float* fixed = nullptr;   ///< [n, 1, d, h, w] float32 on the device
  const float* warped = nullptr;  ///< the same
  VolumeSize size;                ///< below 2^31 voxels a volume
  int bins = 32;                  ///< 2 .. kMostParzenBins
  double sigma_ratio = 1.0;       ///< standard deviation of the windows over the distance of the bins' centres, above 0
};

// Of all voxels of a volume; the mean over the n pairs.

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t mutual_information_scratch_bytes(const VolumeSize& size);

/// Floats of `slopes`.
std::size_t mutual_information_slope_count(const VolumeSize& size);

/// @param slopes  on the device, the loss's derivatives with respect to the joint histograms; overwritten
/// @param loss    one float on the device; NaN if an intensity is NaN
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Three launches. Deterministic: products of the matrix units in float16 pairs of 22 bits, float32 sums of 16 voxels
/// in a fixed order, float64 between blocks. Error of the loss against float64 below 1e-6.
void mutual_information_forward(const ParzenPair& pair, float* slopes, float* loss, void* scratch, Stream stream);

enum class ParzenImage { kFixed, kWarped };

/// The derivative of the loss with respect to one of the images; 0 where an intensity is outside [0, 1].
/// @param slopes    of the forward pass
/// @param upstream  derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_image  [n, 1, d, h, w] float32, overwritten
/// One launch, no scratch. Deterministic.
void mutual_information_backward(const ParzenPair& pair, ParzenImage image, const float* slopes, const float* upstream,
                                 float* to_image, Stream stream);

// Of the voxels of cubes, the mean over cubes and pairs. Volumes are extended by zeros to a multiple of the edge, half
// of them (rounded down) in front.

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t local_mutual_information_scratch_bytes(const VolumeSize& size, int edge);

/// Loss and derivative in one pass.
/// @param edge       of the cubes, voxels: 2 .. kMostParzenCube
/// @param to_warped  [n, 1, d, h, w] float32, overwritten with the loss's derivative; nullptr: none is written
/// @param loss       one float on the device; NaN if an intensity is NaN
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic, as above.
void local_mutual_information(const ParzenPair& pair, int edge, float* to_warped, float* loss, void* scratch,
                              Stream stream);

/// The same in float64 on the CPU; `pair` points to memory of the CPU.
/// @param edge                 of the cubes; 0: one group of all voxels of each volume
/// @param to_fixed, to_warped  resized and written; nullptr: not wanted
double mutual_information_reference(const ParzenPair& pair, int edge, std::vector<double>* to_fixed,
                                    std::vector<double>* to_warped);

}  // namespace regatta::kernels
