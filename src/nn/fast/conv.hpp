// Convolutions of the fast backend: bf16 activations in NDHWC, float32 parameters, one autograd node per layer.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"

namespace regatta::fast {

struct ConvLayer {
  at::Tensor weight;  ///< [out, in, k, k, k] float32
  at::Tensor bias;    ///< [out] float32, or undefined
  std::vector<std::int64_t> strides;
  std::int64_t padding = 0;
  Activation activation;
  bool field = false;  ///< float32, planar
};

/// The inputs concatenated along the channels, convolved, activated. A LeakyReLU's derivative is left to the readers of
/// the result; gradients given back to the inputs are those before their own.
/// @param inputs  images or features of the fast backend
/// @throws BugError for an activation that the fast backend does not have (PReLU)
Feature convolve(const std::vector<Feature>& inputs, const ConvLayer& layer);

/// The same values; the gradient is multiplied by the LeakyReLU's derivative, told from the sign of its result.
at::Tensor with_leaky_derivative(const at::Tensor& result, double slope);

}  // namespace regatta::fast
