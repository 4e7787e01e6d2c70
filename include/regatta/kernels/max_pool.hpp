// Maxima over blocks of 2x2x2 voxels, stride 2, as PyTorch's MaxPool3d(2): of odd sizes the last plane, row or column
// is left out.
//
// The derivative goes to the first maximum of a block in the order d, h, w. It is found again from the input, so no
// indices are kept. A NaN counts as the largest value, and of several the last one takes the derivative: PyTorch's rule
// (`value > maximum or value is NaN` replaces the maximum). Features are bf16 [N, D, H, W, C], aligned to 16 bytes.
// Both functions are one launch without scratch, return after queuing, allocate nothing, read nothing on the host and
// may be captured in a graph. Deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct MaxPoolShape {
  VolumeSize size;  ///< of the input, each axis at least 2
  int channels = 0;

  VolumeSize output_size() const { return {size.n, size.d / 2, size.h / 2, size.w / 2}; }
};

/// Whether there are kernels for both passes: channels in multiples of 8.
bool has_form(const MaxPoolShape& shape, const Capability& chip);

struct MaxPoolForward {
  const Bf16* in = nullptr;
  Bf16* out = nullptr;  ///< [N, D / 2, H / 2, W / 2, C]
};

/// @throws BugError without a form, with a missing or unaligned pointer; DeviceError if the launch fails
void max_pool_forward(const MaxPoolShape& shape, const MaxPoolForward& arrays, const Capability& chip, Stream stream);

struct MaxPoolBackward {
  const Bf16* in = nullptr;
  const Bf16* output_gradient = nullptr;  ///< [N, D / 2, H / 2, W / 2, C]
  /// Slope of the LeakyReLU that made the input: the derivative is multiplied by it where `in` is not positive. 1:
  /// none.
  float slope = 1.0F;
  /// As `in`: what other readers of the input give (with that derivative already), added before rounding. nullptr:
  /// none. May be `input_gradient`.
  const Bf16* others = nullptr;
  Bf16* input_gradient = nullptr;  ///< every element is written
};

/// Errors as max_pool_forward.
void max_pool_backward(const MaxPoolShape& shape, const MaxPoolBackward& arrays, const Capability& chip, Stream stream);

// The same on the CPU, host pointers. Maxima are exact.

std::vector<float> max_pool_reference(const MaxPoolShape& shape, const Bf16* in);
std::vector<double> max_pool_gradient_reference(const MaxPoolShape& shape, const MaxPoolBackward& arrays);

}  // namespace regatta::kernels
