// What is left to do beside cuDNN's convolutions, each in one pass by our kernels where they have a form.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/fast/reading.hpp"

namespace regatta::fast {

/// What follows a convolution without bias.
struct AfterProduct {
  std::vector<at::Tensor> biases;  ///< [C] float32 each, at most three
  at::Tensor added{};              ///< as the product; undefined: none
  at::Tensor slope{};              ///< of a PReLU, [1] float32; undefined: `leaky`
  double leaky = 1.0;              ///< 1: no activation
};

/// Whether `activated` does it in one pass.
bool has_activation(const at::Tensor& product);

/// {before the activation, result}; without `training` the result alone. The product's memory is used again.
std::vector<at::Tensor> activated(const at::Tensor& product, const AfterProduct& after, bool training);

/// From the gradient of an activation's result, part of a wider tensor perhaps. Its memory may be used again.
/// @param added  added to it; undefined: none
ReadingGradient activation_gradient(const at::Tensor& gradient, const at::Tensor& added, const Reading& input);

/// The sum of each channel, [C] float32, `count` times. @param values  bf16 NDHWC
std::vector<at::Tensor> channel_sums(const at::Tensor& values, std::size_t count);

}  // namespace regatta::fast
