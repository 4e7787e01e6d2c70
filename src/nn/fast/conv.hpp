// Convolutions of the fast backend: bf16 activations in NDHWC, float32 parameters, one autograd node per layer.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"

namespace regatta::fast {

struct ConvLayer {
  std::vector<at::Tensor> weights;  ///< [out, in, k, k, k] float32; up to two parallel kernels of smaller edges follow
  std::vector<at::Tensor> biases;   ///< [out] float32 each; empty: none
  std::vector<std::int64_t> strides;
  std::int64_t padding = 0;
  Activation activation{};
  at::Tensor slope{};         ///< of a PReLU, [1] float32
  bool identity = false;      ///< the input is added before the activation; one input, stride 1
  bool field = false;         ///< the result is float32, planar
  bool may_widen = false;     ///< the result may have channels of zeros at its end
  std::int64_t real_out = 0;  ///< of a widened layer, whose weights end with zeros; 0: all
};

/// The inputs concatenated along the channels, convolved, activated. The derivative of a LeakyReLU or PReLU is left to
/// the readers of the result; gradients given back to the inputs are those before their own.
/// @param inputs  images or features of the fast backend
Feature convolve(const std::vector<Feature>& inputs, const ConvLayer& layer);

/// The same values; the gradient is multiplied by the LeakyReLU's derivative, which follows from the sign of its
/// result.
at::Tensor with_leaky_derivative(const at::Tensor& result, double slope);

}  // namespace regatta::fast
