// Features at twice the size along each axis, trilinear: PyTorch's Upsample(scale_factor=2, mode='trilinear').
//
// Along an axis of n inputs, output 2 i reads inputs i - 1 and i, output 2 i + 1 reads i and i + 1. Without
// align_corners the farther of the two has a quarter and the outermost input counts in place of a missing one; with it
// the outermost centres coincide, and the farther one has i / (2 n - 1) and (n - 1 - i) / (2 n - 1). Features are bf16
// [N, D, H, W, C], aligned to 16 bytes, sums float32. Both functions are one launch without scratch, return after
// queuing, allocate nothing, read nothing on the host and may be captured in a graph. Deterministic: the derivative is
// gathered.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct UpsampleShape {
  VolumeSize size;  ///< of the input
  int channels = 0;
  bool align_corners = false;
  int output_pitch = 0;  ///< channels in memory from one voxel of the output to the next; 0: `channels`

  int channels_of_voxel() const { return output_pitch == 0 ? channels : output_pitch; }
  VolumeSize output_size() const { return {size.n, 2 * size.d, 2 * size.h, 2 * size.w}; }
};

/// Whether there are kernels for both passes: channels and pitch in multiples of 8.
bool has_form(const UpsampleShape& shape, const Capability& chip);

struct UpsampleForward {
  const Bf16* in = nullptr;  ///< [N, D, H, W, C]
  Bf16* out = nullptr;       ///< [N, 2 D, 2 H, 2 W, C]; with a pitch the rest of each voxel stays as it is
};

/// @throws BugError without a form, with a missing or unaligned pointer; DeviceError if the launch fails
void upsample_forward(const UpsampleShape& shape, const UpsampleForward& arrays, const Capability& chip, Stream stream);

struct UpsampleBackward {
  const Bf16* output_gradient = nullptr;  ///< [N, 2 D, 2 H, 2 W, C], of the shape's pitch
  Bf16* input_gradient = nullptr;         ///< [N, D, H, W, C], overwritten
};

/// The adjoint. Errors as upsample_forward.
void upsample_backward(const UpsampleShape& shape, const UpsampleBackward& arrays, const Capability& chip,
                       Stream stream);

/// The same in float64 on the CPU, without a pitch.
std::vector<double> upsample_reference(const UpsampleShape& shape, const std::vector<double>& in);
std::vector<double> upsample_gradient_reference(const UpsampleShape& shape, const std::vector<double>& output_gradient);

}  // namespace regatta::kernels
