// Convolutions 3x3x3 and 5x5x5 of few channels, padded by half their kernel, in bf16 with fp32 sums: what cuDNN does at
// a tenth of the speed.
//
// Activations are bf16 [N, D, H, W, C], aligned to 16 bytes (2 channels: 4 bytes). Weights and their gradients are
// float32 [out][first, then second input's channels][edge][edge][edge], biases float32 [out]. A gradient "of the
// output" is that of the convolution's result before its activation; a gradient of an input comes with the derivative
// of the activation that made the input: of a LeakyReLU from the sign of its stored result, of a PReLU from the stored
// value before it. A trained slope may become negative (those of published networks do), and then its results tell no
// signs.
//
// The block of LKU-Net, PReLU(conv5(x) + conv3(x) + conv1(x) + x), is one convolution with edge 5 and `identity`:
// packing adds the parallel kernels in float32 and rounds their sum once, the input is added in the float32 sums, and
// the weight gradient is given to each of the kernels. Every function returns after queuing, allocates nothing, reads
// nothing on the host and may be captured in a graph. Everything is deterministic: no atomics, sums in a fixed order
// (which depends on the chip's number of multiprocessors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct ConvInput {
  int channels = 0;        ///< in memory; 0: no such input. 2: the pair of raw images
  bool upsampled = false;  ///< [N, D/2, H/2, W/2, C], read through nearest x2 up-sampling: even sizes only
  bool prelu = false;      ///< made by a PReLU: its gradient needs what came before that, and gives the slope's
};

/// A convolution of one input, or of the concatenation of two that is never written. Only `first` may be up-sampled.
struct ConvShape {
  VolumeSize size;  ///< of the inputs, after up-sampling
  ConvInput first;
  ConvInput second;
  int out = 0;  ///< 3: the flow head, whose output is float32 [N, 3, D, H, W] and its gradient bf16 [N, D, H, W, 4]
  int stride = 1;
  int edge = 3;           ///< of the kernel: 3 or 5
  bool identity = false;  ///< edge 5: the one input is added to the result, before bias and activation
  bool prelu = false;     ///< the activation is a PReLU of one trained slope

  int in() const { return first.channels + second.channels; }
  VolumeSize output_size() const {
    const auto strided = [&](std::int64_t size_in) { return (size_in + stride - 1) / stride; };
    return {size.n, strided(size.d), strided(size.h), strided(size.w)};
  }
};

enum class ConvPass { kForward, kFirstGradient, kSecondGradient, kWeightGradient };

/// Whether there is a kernel for this pass on this chip; the table is src/kernels/conv/forms.hpp. Callers pad other
/// channel counts or take another library.
bool has_form(const ConvShape& shape, ConvPass pass, const Capability& chip);

/// For logs: "march 32 up + 2 -> 32". @throws BugError without a form
std::string form_text(const ConvShape& shape, ConvPass pass, const Capability& chip);

/// Bytes of the packed weights of a pass, aligned to 16; 0 for kWeightGradient. @throws BugError without a form
std::size_t packed_bytes(const ConvShape& shape, ConvPass pass, const Capability& chip);

struct PackJob {
  ConvShape shape;
  ConvPass pass = ConvPass::kForward;
  const float* weights = nullptr;
  void* packed = nullptr;
  const float* inner = nullptr;   ///< edge 5: a parallel 3x3x3 kernel, [out][in][3][3][3]; nullptr: none
  const float* centre = nullptr;  ///< edge 5: a parallel 1x1x1 kernel, [out][in]; nullptr: none
};

/// Rounds weights to bf16 in the order in which the kernels read them; call it again after every update. One launch for
/// each 16 jobs. @throws BugError without a form
void pack_weights(std::span<const PackJob> jobs, const Capability& chip, Stream stream);

struct ConvForward {
  const Bf16* first = nullptr;
  const Bf16* second = nullptr;
  const void* packed = nullptr;
  const float* bias = nullptr;         ///< nullptr: none
  float slope = 1.0F;                  ///< of LeakyReLU, 0..1; 1: no activation. The flow head has none
  void* out = nullptr;                 ///< bf16 [N, D, H, W, out], or the flow head's float32
  const float* inner_bias = nullptr;   ///< edge 5: of parallel kernels, added to `bias`; nullptr: none
  const float* centre_bias = nullptr;  ///< likewise
  const float* prelu = nullptr;        ///< on the device, one value: the slope, of any sign, instead of `slope`
  Bf16* before_prelu = nullptr;        ///< as `out`: the values before the PReLU; nullptr: not wanted (inference)
};

/// @throws BugError without a form or with a missing pointer; DeviceError if the launch fails
void conv_forward(const ConvShape& shape, const ConvForward& arrays, const Capability& chip, Stream stream);

/// Bytes of the sums that both gradients of a convolution with an up-sampled input start from; 0 for others.
std::size_t child_sum_bytes(const ConvShape& shape);

/// s[j] = the sum of the output's gradient over voxels j - 1 and j of each axis, zero outside, rounded to bf16.
void child_sums(const ConvShape& shape, const Bf16* output_gradient, void* sums, Stream stream);

/// Bytes of the scratch that an input gradient needs for the gradient of a PReLU's slope; 0 if none made the input.
std::size_t slope_scratch_bytes(const ConvShape& shape, ConvPass pass, const Capability& chip);

struct ConvInputGradient {
  const Bf16* output_gradient = nullptr;
  const void* child_sums = nullptr;  ///< for an up-sampled input, instead of output_gradient
  const void* packed = nullptr;
  const Bf16* activation = nullptr;    ///< the input itself; nullptr: no LeakyReLU made it
  float slope = 1.0F;                  ///< of that LeakyReLU
  Bf16* input_gradient = nullptr;      ///< in the input's own size: an up-sampled one's is summed over 2x2x2
  const Bf16* before_prelu = nullptr;  ///< instead of `activation`, if a PReLU made the input: what that got
  const float* prelu = nullptr;        ///< on the device: its slope
  float* slope_gradient = nullptr;     ///< one value, written, not added to: the share of this reader of the input
  void* scratch = nullptr;             ///< slope_scratch_bytes, with slope_gradient
};

/// @param pass  kFirstGradient or kSecondGradient
void conv_input_gradient(const ConvShape& shape, ConvPass pass, const ConvInputGradient& arrays, const Capability& chip,
                         Stream stream);

/// Bytes of the scratch of conv_weight_gradient, aligned to 16.
std::size_t weight_scratch_bytes(const ConvShape& shape, const Capability& chip);

struct ConvWeightGradient {
  const Bf16* first = nullptr;
  const Bf16* second = nullptr;
  const Bf16* output_gradient = nullptr;  ///< not read where the only input is up-sampled
  const void* child_sums = nullptr;       ///< where `first` is up-sampled
  void* scratch = nullptr;
  float* weights = nullptr;     ///< written, not added to
  float* bias = nullptr;        ///< likewise; nullptr: not wanted
  float* inner = nullptr;       ///< edge 5: likewise of parallel kernels, [out][in][3][3][3]; nullptr: none
  float* centre = nullptr;      ///< [out][in]
  float* inner_bias = nullptr;  ///< their biases have the gradient of `bias`, written to each
  float* centre_bias = nullptr;
  int gradient_channels =
      0;  ///< of `output_gradient` in memory, those of the output first, a multiple of 8; 0: no more
};

/// `gradient_channels` goes with plain inputs of 8 channels or more alone.
void conv_weight_gradient(const ConvShape& shape, const ConvWeightGradient& arrays, const Capability& chip,
                          Stream stream);

// The same on the CPU, one result at a time, float64 inside, host pointers.

/// The one kernel that parallel ones add up to, [out][in][edge^3], as packing rounds it.
std::vector<float> folded_weights(const ConvShape& shape, const float* weights, const float* inner,
                                  const float* centre);

/// Output channel `out` at voxel (n, d, h, w) of the output.
struct ConvPlace {
  std::int64_t n = 0, d = 0, h = 0, w = 0;
  int channel = 0;
};

/// `weights`: folded. After the activation.
double conv_forward_reference(const ConvShape& shape, const ConvForward& arrays, const float* weights,
                              const ConvPlace& place);

/// Gradient of channel `place.channel` of the input (in its own size). Reads output_gradient in any case.
double conv_input_gradient_reference(const ConvShape& shape, ConvPass pass, const ConvInputGradient& arrays,
                                     const float* weights, const ConvPlace& place);

/// The same before the derivative of the activation that made the input: a PReLU's slope has the gradient
/// sum of min(before, 0) times this.
double conv_activation_gradient_reference(const ConvShape& shape, ConvPass pass, const Bf16* output_gradient,
                                          const float* weights, const ConvPlace& place);

/// Gradient of one weight; `index` counts as the weights do, and from out * in * edge^3 on the biases.
double conv_weight_gradient_reference(const ConvShape& shape, const ConvWeightGradient& arrays, std::int64_t index);

}  // namespace regatta::kernels
