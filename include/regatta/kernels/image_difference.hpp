// Mean squared or absolute difference of two images, of all voxels or those of a mask, and its derivatives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/diffusion.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Two images [n, 1, d, h, w] float32 on the device, any size and range.
struct ImageDifference {
  const float* fixed = nullptr;
  const float* warped = nullptr;
  VolumeSize size;
  Penalty penalty = Penalty::kSquared;  ///< or kAbsolute
  const std::uint8_t* mask = nullptr;   ///< [n, 1, d, h, w]: the mean is over its voxels that are not 0, of the whole
                                        ///< batch, and 0 if there are none. nullptr: over all voxels
};

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t image_difference_scratch_bytes(const VolumeSize& size);

/// @param share  one float on the device, of a voxel in the mean: what the derivative needs. Overwritten
/// @param loss   one float on the device; NaN if a difference that counts is NaN
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic: float32 inside a block, float64 between blocks, a fixed order.
void image_difference_forward(const ImageDifference& work, float* share, float* loss, void* scratch, Stream stream);

/// The derivatives of the loss; that of equal values is 0.
/// @param share      of the forward pass
/// @param upstream   derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_fixed, to_warped  [n, 1, d, h, w] float32, overwritten; either may be missing
/// One launch, no scratch. Deterministic.
void image_difference_backward(const ImageDifference& work, const float* share, const float* upstream, float* to_fixed,
                               float* to_warped, Stream stream);

/// The same in float64 on the CPU; `work` points to memory of the CPU.
/// @param to_warped  resized and written; nullptr: loss only. The derivative with respect to `fixed` is its negative
double image_difference_reference(const ImageDifference& work, std::vector<double>* to_warped);

}  // namespace regatta::kernels
