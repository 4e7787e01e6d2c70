// The small vocabulary that networks are written over, so that a fast backend can take its place without a rewrite:
// convolution with activation over a list of inputs, up-sampling. Warps: nn/warp.hpp. Networks call no LibTorch
// convolution themselves, and keep no parameter outside `Parameters`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/parameters.hpp"

namespace regatta {

struct ConvShape {
  std::int64_t in = 0;  ///< channels of all inputs together
  std::int64_t out = 0;
  std::int64_t stride = 1;
  std::optional<double> leaky_slope{};  ///< LeakyReLU after the convolution; none: linear
  std::optional<Init> weight_init{};    ///< none: PyTorch's default, U(+-1/sqrt(fan in)), for the bias too
  std::optional<Init> bias_init{};
};

/// 3x3x3 convolution, padding 1, bias, then an optional LeakyReLU.
class Conv3d {
 public:
  /// Registers `name`.weight [out, in, 3, 3, 3] and `name`.bias [out].
  Conv3d(Parameters& parameters, const std::string& name, const ConvShape& shape);

  /// The inputs, concatenated along the channels. A backend need not write the concatenation.
  at::Tensor operator()(const std::vector<at::Tensor>& inputs) const;

  /// Multiplications-and-additions for `voxels` output voxels, the bias left out.
  double mul_adds(double voxels) const;

 private:
  at::Tensor weight_;
  at::Tensor bias_;
  std::int64_t stride_;
  std::optional<double> leaky_slope_;
};

/// Nearest-neighbour up-sampling by two along D, H and W.
at::Tensor upsample_nearest(const at::Tensor& input);

}  // namespace regatta
