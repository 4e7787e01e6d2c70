// Fields on another grid, trilinear: velocities brought to half the resolution, integrated fields back to the full one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

/// Any two grids, finer or coarser, each axis at most 16384. Fields are [n, 3, d, h, w] float32.
struct Resize {
  VolumeSize from;  ///< of the input
  VolumeSize to;    ///< of the output, the same n
  /// true: the centres of the corner voxels coincide; false: the outer faces of the volumes do, and points between a
  /// face and the outer centres read the border.
  bool align_corners = false;
  /// Each output component is multiplied by its factor: the ratio of sizes (of sizes less one with align_corners) for
  /// a field in voxels of its own grid, else 1.
  std::array<float, 3> factors = {1.0F, 1.0F, 1.0F};
};

/// @param input   [n, 3, from.d, from.h, from.w] on the device
/// @param output  [n, 3, to.d, to.h, to.w], overwritten
/// @throws BugError on wrong arguments; DeviceError if a launch fails
/// One launch, no scratch. Deterministic. Positions are exact fractions, so no rounding grows with the size.
void resize_forward(const Resize& resize, const float* input, float* output, Stream stream);

/// The adjoint: each input voxel gathers from the outputs that read it.
/// @param to_output  [n, 3, to.d, to.h, to.w]
/// @param to_input   [n, 3, from.d, from.h, from.w], overwritten
/// One launch, no scratch. Deterministic. Errors as resize_forward.
void resize_backward(const Resize& resize, const float* to_output, float* to_input, Stream stream);

/// The same in float64 on the CPU.
std::vector<double> resize_reference(const Resize& resize, const std::vector<double>& input);
std::vector<double> resize_gradient_reference(const Resize& resize, const std::vector<double>& to_output);

}  // namespace regatta::kernels
