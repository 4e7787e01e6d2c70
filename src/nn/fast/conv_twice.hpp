// A 1x1x1 convolution and another one of its result, on the fast backend.
#pragma once

#include <vector>

#include "nn/fast/conv.hpp"

namespace regatta::fast {

/// `layer` of what `pointwise` makes of the inputs, as one convolution: with nothing between them the kernels multiply
/// up to one. What `pointwise` adds as its bias is missing where `layer` reads the zeros around the volume; the result
/// says so.
/// @param pointwise  1x1x1, with a bias, without an activation
/// @param layer      a field: one kernel of odd edge padded by its half, stride 1, with a bias, without an activation
Feature convolve_twice(const std::vector<Feature>& inputs, const ConvLayer& pointwise, const ConvLayer& layer);

}  // namespace regatta::fast
