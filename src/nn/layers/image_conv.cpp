#include "nn/layers/image_conv.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>

#include "nn/fast/conv.hpp"
#include "nn/known_gradient.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

at::Tensor value_of(const Parameters& parameters, const std::string& name) {
  for (const Parameter& parameter : parameters.items()) {
    if (parameter.name == name) {
      return parameter.value;
    }
  }
  throw BugError(str("no parameter ", name));
}

}  // namespace

NormedImageConv::NormedImageConv(Parameters& parameters, const std::string& norm, const std::string& convolution,
                                 const ConvShape& shape)
    : norm_(parameters, norm, 1),
      convolution_(parameters, convolution, shape),
      context_(parameters.context()),
      shape_(shape),
      scale_(value_of(parameters, norm + ".weight")),
      shift_(value_of(parameters, norm + ".bias")),
      weight_(value_of(parameters, convolution + ".weight")),
      bias_(value_of(parameters, convolution + ".bias")) {
  REGATTA_REQUIRE(shape.in == 1 && shape.stride == 1 && !shape.padding && !shape.strides && !shape.field, BugError,
                  "a convolution of ", shape.in, " images, stride ", shape.stride);
}

Feature NormedImageConv::operator()(const at::Tensor& image) const {
  return context_.backend == Backend::kFast && !needs_gradient(image) ? by_one_convolution(image)
                                                                      : convolution_({norm_(image)});
}

Feature NormedImageConv::by_one_convolution(const at::Tensor& image) const {
  const at::Tensor normalised = InstanceNorm()(image);
  const at::Tensor pair = at::cat({normalised, at::ones_like(normalised)}, 1)
                              .to(context_.activations(), false, false, at::MemoryFormat::ChannelsLast3d);
  fast::ConvLayer layer;
  layer.weights = {at::cat({weight_.mul(scale_), weight_.mul(shift_)}, 1)};
  layer.biases = {bias_};
  layer.strides = {1, 1, 1};
  layer.padding = shape_.kernel / 2;
  layer.activation = shape_.activation;
  return fast::convolve({pair}, layer);
}

}  // namespace regatta
