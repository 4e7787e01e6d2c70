// What is left to do beside a convolution of another library, each in one pass over its features: bias, an added input
// and the activation after it; the activation's derivative before its gradients; the sums of the bias' gradient.
//
// Features are bf16 [voxels, channels], aligned to 16 bytes, channels a multiple of 8 up to 2048; sums are float32. The
// functions return after queuing, allocate nothing and may be captured in a graph. Sums are taken in a fixed order,
// which depends on the chip's number of multiprocessors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

struct ActivationShape {
  std::int64_t voxels = 0;  ///< of all volumes
  int channels = 0;

  std::int64_t elements() const { return voxels * channels; }
};

bool has_activation(const ActivationShape& shape, const Capability& chip);

/// Parallel kernels have a bias each.
inline constexpr std::size_t kMostBiases = 3;

struct ActivationForward {
  const Bf16* product = nullptr;                   ///< of the convolution without its bias
  std::array<const float*, kMostBiases> biases{};  ///< [channels] each; nullptr: none
  const Bf16* added = nullptr;                     ///< as `product`; nullptr: none
  const float* prelu = nullptr;                    ///< on the device, one value: the slope; nullptr: `slope`
  float slope = 1.0F;                              ///< of a LeakyReLU; 1: no activation
  Bf16* before = nullptr;                          ///< the sum before the activation; may be `product`; nullptr: none
  Bf16* out = nullptr;                             ///< likewise
};

/// @throws BugError for a shape without a form or with a missing pointer; DeviceError if the launch fails
void activate(const ActivationShape& shape, const ActivationForward& arrays, const Capability& chip, Stream stream);

struct ActivationGradient {
  const Bf16* gradient = nullptr;   ///< of the activation's result
  int gradient_channels = 0;        ///< of its voxels in memory, if more than the shape's; a multiple of 8
  const Bf16* added = nullptr;      ///< added to it; nullptr: none
  const Bf16* before = nullptr;     ///< what came before the activation; of a LeakyReLU its result does as well
  const float* prelu = nullptr;     ///< as in ActivationForward
  float slope = 1.0F;               ///< likewise
  Bf16* before_gradient = nullptr;  ///< may be `gradient`
  float* slope_gradient = nullptr;  ///< of a PReLU: one value, written: sum of min(before, 0) x gradient
  void* scratch = nullptr;          ///< activation_scratch_bytes, with slope_gradient
};

void activation_gradient(const ActivationShape& shape, const ActivationGradient& arrays, const Capability& chip,
                         Stream stream);

/// Of one channel_sums or activation_gradient, aligned to 16.
std::size_t activation_scratch_bytes(const ActivationShape& shape, const Capability& chip);

/// The sum over the voxels of each channel, written to each of `sums` that there is, [channels].
void channel_sums(const ActivationShape& shape, const Bf16* values, const std::array<float*, kMostBiases>& sums,
                  void* scratch, const Capability& chip, Stream stream);

// The same on the CPU, float64 inside, host pointers.

/// [voxels, channels] before the activation and after it.
struct ActivationResult {
  std::vector<double> before;
  std::vector<double> out;
};

ActivationResult activate_reference(const ActivationShape& shape, const ActivationForward& arrays);

struct ActivationGradientResult {
  std::vector<double> before_gradient;
  double slope_gradient = 0.0;
};

ActivationGradientResult activation_gradient_reference(const ActivationShape& shape, const ActivationGradient& arrays);

std::vector<double> channel_sums_reference(const ActivationShape& shape, const Bf16* values);

}  // namespace regatta::kernels
