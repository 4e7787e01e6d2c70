#include <algorithm>

#include "regatta/kernels/activation.hpp"

namespace regatta::kernels {
namespace {

double slope_of(const float* prelu, float slope) {
  return prelu != nullptr ? *prelu : slope;
}

}  // namespace

ActivationResult activate_reference(const ActivationShape& shape, const ActivationForward& arrays) {
  ActivationResult result;
  const double slope = slope_of(arrays.prelu, arrays.slope);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    double before = to_float(arrays.product[i]);
    for (const float* bias : arrays.biases) {
      before += bias != nullptr ? bias[i % shape.channels] : 0.0F;
    }
    before += arrays.added != nullptr ? to_float(arrays.added[i]) : 0.0F;
    result.before.push_back(before);
    result.out.push_back(before > 0.0 ? before : slope * before);
  }
  return result;
}

ActivationGradientResult activation_gradient_reference(const ActivationShape& shape, const ActivationGradient& arrays) {
  ActivationGradientResult result;
  const double slope = slope_of(arrays.prelu, arrays.slope);
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    const double before = to_float(arrays.before[i]);
    const std::int64_t from = i / shape.channels * std::max(arrays.gradient_channels, shape.channels);
    const double gradient = to_float(arrays.gradient[from + i % shape.channels]) +
                            (arrays.added != nullptr ? to_float(arrays.added[i]) : 0.0F);
    result.before_gradient.push_back(before > 0.0 ? gradient : slope * gradient);
    result.slope_gradient += std::min(before, 0.0) * gradient;
  }
  return result;
}

std::vector<double> channel_sums_reference(const ActivationShape& shape, const Bf16* values) {
  std::vector<double> sums(static_cast<std::size_t>(shape.channels));
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    sums[static_cast<std::size_t>(i % shape.channels)] += to_float(values[i]);
  }
  return sums;
}

}  // namespace regatta::kernels
