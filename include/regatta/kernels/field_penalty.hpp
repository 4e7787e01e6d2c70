// Penalties of a displacement field beside its smoothness (diffusion.hpp): folding and bending. Units: voxels.
#pragma once

#include <cstddef>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

enum class FieldPenalty {
  /// Mean of max(0, -det) where det is the Jacobian determinant of p + flow(p) by forward differences, over the voxels
  /// that have a successor along each axis. Each size at least 2.
  kFolding,
  /// Squared second derivatives, the mixed ones twice, mean over components and voxels: central differences of central
  /// differences, without the border of two voxels. Each size at least 5.
  kBending
};

/// Bytes of `scratch`, aligned to 8. What it holds before does not matter.
std::size_t field_penalty_scratch_bytes(FieldPenalty penalty, const VolumeSize& size);

/// @param flow  [n, 3, d, h, w] float32 on the device, voxels, components D, H, W; below 2^31 voxels a volume
/// @param loss  one float on the device. NaN if a displacement that is read is NaN
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// Two launches. Deterministic: float32 inside a block, float64 between blocks, a fixed order.
void field_penalty_forward(FieldPenalty penalty, const float* flow, const VolumeSize& size, float* loss, void* scratch,
                           Stream stream);

/// The derivative of the loss with respect to the field.
/// @param upstream  derivative with respect to the loss, one float on the device; nullptr: 1
/// @param to_flow   [n, 3, d, h, w] float32, overwritten
/// One launch, no scratch. Deterministic.
void field_penalty_backward(FieldPenalty penalty, const float* flow, const VolumeSize& size, const float* upstream,
                            float* to_flow, Stream stream);

/// The same in float64 on the CPU.
/// @param to_flow  resized and written; nullptr: loss only
double field_penalty_reference(FieldPenalty penalty, const std::vector<float>& flow, const VolumeSize& size,
                               std::vector<double>* to_flow);

}  // namespace regatta::kernels
