// The pair of images at half the size: means over 3x3x3 voxels, stride 2, zeros around the volume that count, as
// PyTorch's AvgPool3d(3, stride=2, padding=1). TransMorph's decoder reads it.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Half of each axis, rounded up.
inline VolumeSize average_pool_size(const VolumeSize& size) {
  return {size.n, (size.d + 1) / 2, (size.h + 1) / 2, (size.w + 1) / 2};
}

/// @param pair  bf16 [n, d, h, w, 2] on the device, as pack_pair writes it
/// @param out   bf16 [n, ceil(d / 2), ceil(h / 2), ceil(w / 2), 2], overwritten
/// @throws BugError on wrong arguments; DeviceError if the launch fails
/// One launch, no scratch, sums in float32. May be captured in a graph. Deterministic. Images need no derivative.
void average_pool_forward(const VolumeSize& size, const Bf16* pair, Bf16* out, Stream stream);

/// The same in float64 on the CPU.
std::vector<double> average_pool_reference(const VolumeSize& size, const Bf16* pair);

}  // namespace regatta::kernels
