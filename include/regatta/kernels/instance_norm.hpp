// InstanceNorm without weights, and the LeakyReLU after it: each channel of each sample to mean 0 and variance 1.
//
//   y = leaky((x - mean) / sqrt(variance + 1e-5)),  leaky(t) = t > 0 ? t : slope t
// with the biased variance over the voxels, as PyTorch's InstanceNorm3d. Activations are bf16 [N, D, H, W, C], aligned
// to 16 bytes; sums are those of the rounded values, in float32 about a value near the mean and then in float64, so a
// mean that is large against the deviation costs nothing. x is not needed after the forward pass: the backward pass
// takes the normalised values from y.
//
// Every function returns after queuing, allocates nothing, reads nothing on the host and may be captured in a graph.
// Deterministic: sums in a fixed order, which depends on the chip's number of multiprocessors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

inline constexpr double kInstanceNormEpsilon = 1e-5;

struct InstanceNormShape {
  VolumeSize size;
  int channels = 0;
  float slope = 1.0F;    ///< of the LeakyReLU; 1: none
  int output_pitch = 0;  ///< channels in memory from one voxel of y and of its gradient to the next; 0: `channels`

  int channels_of_voxel() const { return output_pitch == 0 ? channels : output_pitch; }
};

/// Whether there are kernels for both passes: channels in multiples of 8 up to 1024, a pitch in multiples of 8, and a
/// slope above 0 (at 0, a ReLU, y does not tell the normalised value).
bool has_form(const InstanceNormShape& shape, const Capability& chip);

/// Bytes of the scratch of either pass, to be aligned to 16. Nothing in it is kept. @throws BugError without a form
std::size_t instance_norm_scratch_bytes(const InstanceNormShape& shape, const Capability& chip);

struct InstanceNormForward {
  const Bf16* in = nullptr;
  Bf16* out = nullptr;                 ///< may be `in` without a pitch; with one the rest of each voxel stays as it is
  float* mean = nullptr;               ///< [N, C]
  float* inverse_deviation = nullptr;  ///< [N, C], 1 / sqrt(variance + 1e-5): the backward pass needs it
  void* scratch = nullptr;
};

/// Three launches. @throws BugError without a form, with a missing or unaligned pointer; DeviceError if a launch fails
void instance_norm_forward(const InstanceNormShape& shape, const InstanceNormForward& arrays, const Capability& chip,
                           Stream stream);

struct InstanceNormBackward {
  const Bf16* out = nullptr;  ///< y, of the forward pass
  const Bf16* output_gradient = nullptr;
  const float* inverse_deviation = nullptr;  ///< [N, C], of the forward pass
  Bf16* input_gradient = nullptr;            ///< dense; may be `output_gradient` without a pitch
  void* scratch = nullptr;
};

/// Three launches. Errors as instance_norm_forward.
void instance_norm_backward(const InstanceNormShape& shape, const InstanceNormBackward& arrays, const Capability& chip,
                            Stream stream);

// The same on the CPU, float64, host pointers, without a pitch.

struct InstanceNormResult {
  std::vector<double> out;                      ///< [N, D, H, W, C]
  std::vector<double> mean, inverse_deviation;  ///< [N, C]
};

InstanceNormResult instance_norm_reference(const InstanceNormShape& shape, const Bf16* in);

/// Gradient of the input, from x itself. @param in, output_gradient  [N, D, H, W, C]
std::vector<double> instance_norm_gradient_reference(const InstanceNormShape& shape, const Bf16* in,
                                                     const Bf16* output_gradient);

}  // namespace regatta::kernels
