// A convolution of a normalised image, part of the vocabulary of layers.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "nn/layers/conv.hpp"
#include "nn/layers/norm.hpp"

namespace regatta {

/// Instance normalisation of one image with trained scale and shift, then a convolution. The fast backend convolves the
/// normalised image and a volume of ones beside it: scale and shift are part of the convolution's weights, and no
/// gradient goes through the image.
class NormedImageConv {
 public:
  /// Registers `norm`.weight and `norm`.bias [1], then as Conv3d under `convolution`.
  NormedImageConv(Parameters& parameters, const std::string& norm, const std::string& convolution,
                  const ConvShape& shape);

  /// @param image  [N, 1, D, H, W] without a gradient
  Feature operator()(const at::Tensor& image) const;

 private:
  Feature by_one_convolution(const at::Tensor& image) const;

  InstanceNorm norm_;
  Conv3d convolution_;
  NetworkContext context_;
  ConvShape shape_;
  at::Tensor scale_;
  at::Tensor shift_;
  at::Tensor weight_;
  at::Tensor bias_;
};

}  // namespace regatta
