// Mean squared difference of the self-similarity descriptors (MIND-SSC) of two images, and its derivative with respect
// to the second one. A descriptor has 12 channels, one for each pair of the six neighbours at a distance of `dilation`
// that are no opposites: the squared difference of the image seen from the two, averaged over a cube of 2 radius + 1
// voxels (positions outside the volume are moved to its border), is the channel's distance. Less the least of the 12,
// over their mean less the least, as exp(-x); that mean is held between 0.001 and 1000 times its own mean over the
// volume, which has no derivative, and above 1e-12.
#pragma once

#include <cstddef>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct MindPair {
  const float* fixed = nullptr;   ///< [n, 1, d, h, w] float32 on the device
  const float* warped = nullptr;  ///< the same
  VolumeSize size;                ///< below 2^31 voxels a volume
  int radius = 2;                 ///< of the cubes, voxels
  int dilation = 2;               ///< of the neighbours, voxels
};

/// Radii 1 and 2, dilations 1 to 8.
bool mind_has_form(int radius, int dilation);

/// Bytes of `scratch`, aligned to 8: 24 volumes of float32 and a little. What it holds before does not matter.
std::size_t mind_scratch_bytes(const VolumeSize& size);

/// Loss and derivative together.
/// @param to_warped  [n, 1, d, h, w] float32, overwritten with the loss's derivative; nullptr: none is written. Where
///                   several channels are the least one, they share its derivative
/// @param loss       one float on the device; NaN if an intensity is NaN
/// @throws BugError on wrong arguments or no form; DeviceError if a launch fails
/// Seven launches, five for the loss alone. Deterministic: float32 inside a block, float64 between blocks, a fixed
/// order.
void mind(const MindPair& pair, float* to_warped, float* loss, void* scratch, Stream stream);

/// The same in float64 on the CPU; `pair` points to memory of the CPU.
/// @param to_warped  resized and written; nullptr: loss only
double mind_reference(const MindPair& pair, std::vector<double>* to_warped);

}  // namespace regatta::kernels
