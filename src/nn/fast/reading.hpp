// How convolutions of the fast backend read a feature, and give back its gradient.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "regatta/kernels/bf16.hpp"

namespace regatta::fast {

/// A feature as a convolution takes it. Gradients are those of `raw`, before its activation.
struct Reading {
  at::Tensor raw;        ///< bf16 NDHWC; of a PReLU what came before it
  at::Tensor activated;  ///< of a PReLU: its result; undefined: `raw` is read
  at::Tensor slope;      ///< of that PReLU, [1] float32; undefined: none
  double leaky = 1.0;    ///< slope of the LeakyReLU that made `raw`; 1: none
  bool upsample = false;

  explicit operator bool() const { return raw.defined(); }
  const at::Tensor& read() const { return activated.defined() ? activated : raw; }
  std::int64_t channels() const { return raw.size(1); }
};

/// The feature as a `Reading`. What a PReLU left to readers is applied here unless the fast backend made it.
Reading reading_of(const Feature& feature);

/// What a convolution made, its activation's derivative left to readers.
/// @param results  the output; of a PReLU in a training what came before it, then the output
/// @param slope    of a PReLU
Feature left_to_readers(const std::vector<at::Tensor>& results, const Activation& activation, const at::Tensor& slope);

/// The whole feature in memory, up-sampled, for cuDNN.
at::Tensor whole(const Reading& input);

/// What a reader gives back.
struct ReadingGradient {
  at::Tensor raw;
  at::Tensor slope;  ///< of a PReLU
};

/// From the gradient of what `whole` gave, whose memory may be used again.
/// @param added  added to it; undefined: none
ReadingGradient given_back(at::Tensor gradient, const Reading& input, const at::Tensor& added = {});

/// bf16, NDHWC.
at::Tensor in_layout(const at::Tensor& tensor);

/// [N, 3, D, H, W] -> bf16 [N, D, H, W, 4], as our kernels take the gradient of a field. On the GPU or without data.
at::Tensor packed_field(const at::Tensor& gradient);

inline const kernels::Bf16* bf16(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<const kernels::Bf16*>(tensor.const_data_ptr()) : nullptr;
}

inline kernels::Bf16* bf16_(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<kernels::Bf16*>(tensor.mutable_data_ptr()) : nullptr;
}

inline const float* floats(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

inline float* floats_(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data_ptr<float>() : nullptr;
}

/// Slope of an activation that has one for good; 1 without one, and of a PReLU.
double fixed_slope(const Activation& activation);

}  // namespace regatta::fast
