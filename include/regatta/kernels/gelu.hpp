// GELU in its exact form, x Phi(x), after a bias: what lies between the two products of a transformer's MLP.
//
//   out = gelu(in + bias)
// Values are bf16 [rows, C], aligned to 16 bytes, the bias and its gradient float32 [C], sums float32. Every function
// returns after queuing, allocates nothing, reads nothing on the host and may be captured in a graph. Deterministic:
// sums in a fixed order, which depends on the chip's number of multiprocessors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"

namespace regatta::kernels {

struct GeluShape {
  std::int64_t rows = 0;
  int channels = 0;
};

/// Whether there are kernels for both passes: channels in multiples of 8, up to 65536.
bool has_form(const GeluShape& shape, const Capability& chip);

struct GeluForward {
  const Bf16* in = nullptr;
  const float* bias = nullptr;  ///< nullptr: none
  Bf16* out = nullptr;          ///< may be `in`
};

/// One launch. @throws BugError without a form, with a missing or unaligned pointer; DeviceError if the launch fails
void gelu_forward(const GeluShape& shape, const GeluForward& arrays, const Capability& chip, Stream stream);

/// Bytes of the backward pass's scratch, to be aligned to 16. @throws BugError without a form
std::size_t gelu_scratch_bytes(const GeluShape& shape, const Capability& chip);

struct GeluBackward {
  const Bf16* in = nullptr;
  const float* bias = nullptr;
  const Bf16* out_gradient = nullptr;
  Bf16* to_in = nullptr;     ///< may be `out_gradient`
  float* to_bias = nullptr;  ///< written, not added to; nullptr: not wanted
  void* scratch = nullptr;   ///< with `to_bias`
};

/// One launch, or two with `to_bias`. Errors as gelu_forward.
void gelu_backward(const GeluShape& shape, const GeluBackward& arrays, const Capability& chip, Stream stream);

/// The same in float64 on the CPU. @param bias  empty: none
std::vector<double> gelu_reference(const GeluShape& shape, const std::vector<double>& in,
                                   const std::vector<double>& bias);

struct GeluGradients {
  std::vector<double> to_in, to_bias;
};

GeluGradients gelu_gradient_reference(const GeluShape& shape, const std::vector<double>& in,
                                      const std::vector<double>& bias, const std::vector<double>& out_gradient);

}  // namespace regatta::kernels
