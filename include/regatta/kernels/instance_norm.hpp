// InstanceNorm and the LeakyReLU after it: each channel of each sample to mean 0 and variance 1, with or without
// trained weights.
//
//   y = leaky(weight (x - mean) / sqrt(variance + 1e-5) + bias),  leaky(t) = t > 0 ? t : slope t
// with the biased variance over the voxels, as PyTorch's InstanceNorm3d. Activations are bf16 [N, D, H, W, C], aligned
// to 16 bytes; sums are those of the rounded values, in float32 about a value near the mean and then in float64, so a
// mean that is large against the deviation costs nothing. Without weights x is not needed after the forward pass: the
// backward pass takes the normalised values from y. With weights, which may be 0, it takes them from x.
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
  bool affine = false;   ///< with a weight and a bias for each channel; without a pitch

  int channels_of_voxel() const { return output_pitch == 0 ? channels : output_pitch; }
};

/// Whether there are kernels for both passes: channels in multiples of 8 up to 1024, a pitch in multiples of 8, and a
/// slope above 0 (at 0, a ReLU, y does not tell the normalised value; with weights at least 0).
bool has_form(const InstanceNormShape& shape, const Capability& chip);

/// Bytes of the scratch of either pass, to be aligned to 16. Nothing in it is kept. @throws BugError without a form
std::size_t instance_norm_scratch_bytes(const InstanceNormShape& shape, const Capability& chip);

struct InstanceNormForward {
  const Bf16* in = nullptr;
  Bf16* out = nullptr;                 ///< may be `in` without a pitch; with one the rest of each voxel stays as it is
  float* mean = nullptr;               ///< [N, C]
  float* inverse_deviation = nullptr;  ///< [N, C], 1 / sqrt(variance + 1e-5): the backward pass needs it
  void* scratch = nullptr;
  const float* weight = nullptr;  ///< [C], affine
  const float* bias = nullptr;    ///< [C], affine
};

/// Three launches. @throws BugError without a form, with a missing or unaligned pointer; DeviceError if a launch fails
void instance_norm_forward(const InstanceNormShape& shape, const InstanceNormForward& arrays, const Capability& chip,
                           Stream stream);

struct InstanceNormBackward {
  const Bf16* out = nullptr;  ///< y, of the forward pass; affine: not read
  const Bf16* output_gradient = nullptr;
  const float* inverse_deviation = nullptr;  ///< [N, C], of the forward pass
  Bf16* input_gradient = nullptr;            ///< dense; may be `output_gradient` without a pitch
  void* scratch = nullptr;
  // Affine: all of these.
  const Bf16* in = nullptr;          ///< x
  const float* mean = nullptr;       ///< [N, C], of the forward pass
  const float* weight = nullptr;     ///< [C]
  const float* bias = nullptr;       ///< [C]
  float* weight_gradient = nullptr;  ///< [C], written
  float* bias_gradient = nullptr;    ///< [C], written
};

/// Three launches, affine four. Errors as instance_norm_forward.
void instance_norm_backward(const InstanceNormShape& shape, const InstanceNormBackward& arrays, const Capability& chip,
                            Stream stream);

// The same on the CPU, float64, host pointers, without a pitch.

struct InstanceNormResult {
  std::vector<double> out;                      ///< [N, D, H, W, C]
  std::vector<double> mean, inverse_deviation;  ///< [N, C]
};

/// Of an affine shape: trained weights, float32 [C] each.
struct InstanceNormWeights {
  const float* weight = nullptr;
  const float* bias = nullptr;
};

InstanceNormResult instance_norm_reference(const InstanceNormShape& shape, const Bf16* in,
                                           const InstanceNormWeights& weights = {});

/// From x itself. @param in, output_gradient  [N, D, H, W, C]
/// @param to_weights  affine: [2 C], gradients of the weights, then of the biases; else nullptr
/// @return gradient of the input
std::vector<double> instance_norm_gradient_reference(const InstanceNormShape& shape, const Bf16* in,
                                                     const Bf16* output_gradient,
                                                     const InstanceNormWeights& weights = {},
                                                     std::vector<double>* to_weights = nullptr);

}  // namespace regatta::kernels
