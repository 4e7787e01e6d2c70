// Smoothness of a displacement field: forward differences along each axis, squared or absolute, the mean per axis over
// all components, averaged over the three axes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

enum class Penalty { kNone, kSquared, kAbsolute };

/// Of the differences.
enum class DiffusionUnits {
  kVoxels,
  kLku  ///< of a field in [-1, 1], times half the size along the differences' axis: voxels times size / (size_c - 1),
        ///< where size_c is the size along the component's own axis
};

/// Bytes of `scratch` in this and in warp.hpp, aligned to 8. What it holds before does not matter.
std::size_t diffusion_scratch_bytes(const VolumeSize& size);

/// loss = weight x penalty of the field.
/// @param flow  [n, 3, d, h, w] float32 on the device, voxels, components D, H, W; each size at least 2,
///              below 2^31 voxels a volume
/// @param loss  one float on the device
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic: float32 inside a block, float64 between blocks, a fixed order.
void diffusion_forward(const float* flow, const VolumeSize& size, Penalty penalty, double weight, float* loss,
                       void* scratch, Stream stream, DiffusionUnits units = DiffusionUnits::kVoxels);

/// Where a derivative with respect to a field goes: exactly one of the two, overwritten.
struct FieldGradient {
  float* planar = nullptr;  ///< [n, 3, d, h, w] float32
  Bf16* packed = nullptr;   ///< [n, d, h, w, 4] bfloat16, the fourth 0; aligned to 8 bytes. What convolutions want
};

/// The derivative of the loss with respect to the field. At equal neighbours the absolute penalty's is 0.
/// @param upstream  derivative with respect to the loss, one float on the device; nullptr: 1
/// One launch, no scratch. Deterministic.
void diffusion_backward(const float* flow, const VolumeSize& size, Penalty penalty, double weight,
                        const float* upstream, const FieldGradient& to_flow, Stream stream,
                        DiffusionUnits units = DiffusionUnits::kVoxels);

/// The same in float64 on the CPU.
/// @param to_flow  resized and written, planar; nullptr: loss only
/// @return weight x penalty
double diffusion_reference(const std::vector<float>& flow, const VolumeSize& size, Penalty penalty, double weight,
                           std::vector<double>* to_flow, DiffusionUnits units = DiffusionUnits::kVoxels);

}  // namespace regatta::kernels
