// Transposed convolutions 2x2x2 of stride 2, as many channels out as in, in bf16 with fp32 sums: up-sampling by two
// with trained weights.
//
// Every voxel of the input makes the 2x2x2 voxels of the output above it, and no other, so all three passes are
// products of matrices whose rows are voxels: memory alone decides. Activations are bf16 [N, D, H, W, C], aligned to 16
// bytes; the output has twice the input's size along each axis. Weights and their gradients are float32
// [in][out][2][2][2] and biases [out], as PyTorch has them. A gradient "of the output" is that of the result before its
// activation; what made the input is undone as in conv.hpp. Every function returns after queuing, allocates nothing,
// reads nothing on the host and may be captured in a graph. Deterministic: no atomics, sums in a fixed order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct UpConvShape {
  VolumeSize size;           ///< of the input
  int channels = 0;          ///< of input and output
  bool prelu = false;        ///< the activation is a PReLU of one trained slope
  bool input_prelu = false;  ///< made by a PReLU: its gradient needs what came before that, and gives the slope's

  VolumeSize output_size() const { return {size.n, 2 * size.d, 2 * size.h, 2 * size.w}; }
};

/// Whether there are kernels for all three passes: 16 or 32 channels, below 2^31 voxels of the input.
bool has_form(const UpConvShape& shape, const Capability& chip);

/// Bytes of the packed weights, in the orders of forward and input gradient; aligned to 16. @throws BugError without a
/// form
std::size_t packed_bytes(const UpConvShape& shape);

struct UpConvPackJob {
  UpConvShape shape;
  const float* weights = nullptr;
  void* packed = nullptr;
};

/// Rounds weights to bf16 in the orders in which the kernels read them; call it again after every update.
/// @throws BugError without a form
void pack_up_conv(std::span<const UpConvPackJob> jobs, const Capability& chip, Stream stream);

struct UpConvForward {
  const Bf16* in = nullptr;
  const void* packed = nullptr;
  const float* bias = nullptr;   ///< nullptr: none
  float slope = 1.0F;            ///< of LeakyReLU; 1: no activation
  const float* prelu = nullptr;  ///< on the device, one value: the slope, of any sign, instead of `slope`
  Bf16* before_prelu = nullptr;  ///< as `out`: the values before the PReLU; nullptr: not wanted (inference)
  Bf16* out = nullptr;
};

/// @throws BugError without a form or with a missing pointer; DeviceError if the launch fails
void up_conv_forward(const UpConvShape& shape, const UpConvForward& arrays, const Capability& chip, Stream stream);

/// Bytes of the scratch that the input gradient needs for the gradient of a PReLU's slope; 0 if none made the input.
std::size_t slope_scratch_bytes(const UpConvShape& shape, const Capability& chip);

struct UpConvInputGradient {
  const Bf16* output_gradient = nullptr;
  const void* packed = nullptr;
  const Bf16* activation = nullptr;    ///< the input itself; nullptr: no LeakyReLU made it
  float slope = 1.0F;                  ///< of that LeakyReLU
  const Bf16* before_prelu = nullptr;  ///< instead of `activation`, if a PReLU made the input: what that got
  const float* prelu = nullptr;        ///< on the device: its slope
  float* slope_gradient = nullptr;     ///< one value, written, not added to: the share of this reader of the input
  void* scratch = nullptr;             ///< slope_scratch_bytes, with slope_gradient
  Bf16* input_gradient = nullptr;
};

void up_conv_input_gradient(const UpConvShape& shape, const UpConvInputGradient& arrays, const Capability& chip,
                            Stream stream);

/// Bytes of the scratch of up_conv_weight_gradient, aligned to 16.
std::size_t weight_scratch_bytes(const UpConvShape& shape, const Capability& chip);

struct UpConvWeightGradient {
  const Bf16* in = nullptr;
  const Bf16* output_gradient = nullptr;
  void* scratch = nullptr;
  float* weights = nullptr;  ///< written, not added to
  float* bias = nullptr;     ///< likewise; nullptr: not wanted
};

void up_conv_weight_gradient(const UpConvShape& shape, const UpConvWeightGradient& arrays, const Capability& chip,
                             Stream stream);

// The same on the CPU, one result at a time, float64 inside, host pointers.

/// Channel `channel` of voxel (n, d, h, w).
struct UpConvPlace {
  std::int64_t n = 0, d = 0, h = 0, w = 0;
  int channel = 0;
};
double up_conv_forward_reference(const UpConvShape& shape, const UpConvForward& arrays, const float* weights,
                                 const UpConvPlace& place);

/// Before the derivative of the activation that made the input: a PReLU's slope has the gradient
/// sum of min(before, 0) times this.
double up_conv_activation_gradient_reference(const UpConvShape& shape, const Bf16* output_gradient,
                                             const float* weights, const UpConvPlace& place);
double up_conv_input_gradient_reference(const UpConvShape& shape, const UpConvInputGradient& arrays,
                                        const float* weights, const UpConvPlace& place);

/// Gradient of one weight; `index` counts as the weights do, and from channels^2 * 8 on the biases.
double up_conv_weight_gradient_reference(const UpConvShape& shape, const UpConvWeightGradient& arrays,
                                         std::int64_t index);

}  // namespace regatta::kernels
