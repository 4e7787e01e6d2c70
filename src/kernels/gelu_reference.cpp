#include "regatta/kernels/gelu.hpp"

#include <cmath>
#include <numbers>

namespace regatta::kernels {
namespace {

/// Phi, the normal distribution.
double below(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2);
}

double derivative(double x) {
  return below(x) + x * std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
}

double with_bias(const GeluShape& shape, const std::vector<double>& in, const std::vector<double>& bias,
                 std::size_t i) {
  return in[i] + (bias.empty() ? 0.0 : bias[i % static_cast<std::size_t>(shape.channels)]);
}

}  // namespace

std::vector<double> gelu_reference(const GeluShape& shape, const std::vector<double>& in,
                                   const std::vector<double>& bias) {
  std::vector<double> out(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    const double x = with_bias(shape, in, bias, i);
    out[i] = x * below(x);
  }
  return out;
}

GeluGradients gelu_gradient_reference(const GeluShape& shape, const std::vector<double>& in,
                                      const std::vector<double>& bias, const std::vector<double>& out_gradient) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  GeluGradients result = {std::vector<double>(in.size()), std::vector<double>(channels)};
  for (std::size_t i = 0; i < in.size(); ++i) {
    result.to_in[i] = out_gradient[i] * derivative(with_bias(shape, in, bias, i));
    result.to_bias[i % channels] += result.to_in[i];
  }
  return result;
}

}  // namespace regatta::kernels
