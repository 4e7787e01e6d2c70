// Transposed 2x2x2 convolutions of stride 2 on the fast backend.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"

namespace regatta::fast {

struct UpConvLayer {
  at::Tensor weight;  ///< [in, out, 2, 2, 2] float32
  at::Tensor bias;    ///< [out] float32
  Activation activation{};
  at::Tensor slope{};  ///< of a PReLU, [1] float32
};

/// The input up-sampled, activated; as `convolve` in fast/conv.hpp leaves what to its readers.
Feature up_convolve(const Feature& input, const UpConvLayer& layer);

}  // namespace regatta::fast
