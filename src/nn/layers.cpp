// The reference implementation of the vocabulary: plain LibTorch operators.
#include "nn/layers.hpp"

#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/upsample_nearest3d.h>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kKernel = 3;
constexpr std::int64_t kTaps = kKernel * kKernel * kKernel;

}  // namespace

Conv3d::Conv3d(Parameters& parameters, const std::string& name, const ConvShape& shape)
    : stride_(shape.stride), leaky_slope_(shape.leaky_slope) {
  const Init standard = Init::uniform(1.0 / std::sqrt(static_cast<double>(shape.in * kTaps)));
  weight_ = parameters.add(name + ".weight", {shape.out, shape.in, kKernel, kKernel, kKernel},
                           shape.weight_init.value_or(standard));
  bias_ = parameters.add(name + ".bias", {shape.out}, shape.bias_init.value_or(standard));
}

at::Tensor Conv3d::operator()(const std::vector<at::Tensor>& inputs) const {
  REGATTA_REQUIRE(!inputs.empty(), BugError, "convolution without input");
  const at::Tensor input = inputs.size() == 1 ? inputs.front() : at::cat(inputs, 1);
  at::Tensor output = at::conv3d(input, weight_, bias_, stride_, kKernel / 2);
  if (leaky_slope_) {
    at::leaky_relu_(output, *leaky_slope_);  // in place: the backward pass needs the sign only, which it keeps
  }
  return output;
}

double Conv3d::mul_adds(double voxels) const {
  return voxels * static_cast<double>(weight_.numel());
}

at::Tensor upsample_nearest(const at::Tensor& input) {
  const std::vector<std::int64_t> size = {input.size(2) * 2, input.size(3) * 2, input.size(4) * 2};
  return at::upsample_nearest3d(input, size);
}

}  // namespace regatta
