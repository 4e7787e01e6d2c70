#include "regatta/kernels/instance_norm.hpp"

#include <cmath>

namespace regatta::kernels {
namespace {

/// Calls visit(element, n * C + channel) for all elements.
template <class Visit>
void visit_elements(const InstanceNormShape& shape, Visit visit) {
  const std::int64_t of_sample = shape.size.voxels() * shape.channels;
  for (std::int64_t i = 0; i < shape.size.n * of_sample; ++i) {
    visit(static_cast<std::size_t>(i), static_cast<std::size_t>(i / of_sample * shape.channels + i % shape.channels));
  }
}

double leaky_slope(const InstanceNormShape& shape, double value) {
  return value > 0.0 ? 1.0 : static_cast<double>(shape.slope);
}

/// @param c  n * C + channel
double weighted(const InstanceNormShape& shape, const InstanceNormWeights& weights, std::size_t c, double normalised) {
  const std::size_t channel = c % static_cast<std::size_t>(shape.channels);
  return shape.affine ? weights.weight[channel] * normalised + weights.bias[channel] : normalised;
}

}  // namespace

InstanceNormResult instance_norm_reference(const InstanceNormShape& shape, const Bf16* in,
                                           const InstanceNormWeights& weights) {
  const auto voxels = static_cast<double>(shape.size.voxels());
  const auto channels = static_cast<std::size_t>(shape.size.n * shape.channels);
  InstanceNormResult result;
  result.mean.resize(channels);
  result.inverse_deviation.resize(channels);
  visit_elements(shape, [&](std::size_t i, std::size_t c) { result.mean[c] += to_float(in[i]) / voxels; });
  std::vector<double> variance(channels);
  visit_elements(shape, [&](std::size_t i, std::size_t c) {
    variance[c] += std::pow(to_float(in[i]) - result.mean[c], 2) / voxels;
  });
  for (std::size_t c = 0; c < channels; ++c) {
    result.inverse_deviation[c] = 1.0 / std::sqrt(variance[c] + kInstanceNormEpsilon);
  }
  result.out.resize(static_cast<std::size_t>(shape.size.all() * shape.channels));
  visit_elements(shape, [&](std::size_t i, std::size_t c) {
    const double normalised = (to_float(in[i]) - result.mean[c]) * result.inverse_deviation[c];
    const double value = weighted(shape, weights, c, normalised);
    result.out[i] = leaky_slope(shape, value) * value;
  });
  return result;
}

std::vector<double> instance_norm_gradient_reference(const InstanceNormShape& shape, const Bf16* in,
                                                     const Bf16* output_gradient, const InstanceNormWeights& weights,
                                                     std::vector<double>* to_weights) {
  const auto voxels = static_cast<double>(shape.size.voxels());
  const InstanceNormResult forward = instance_norm_reference(shape, in, weights);
  const auto normalised = [&](std::size_t i, std::size_t c) {
    return (to_float(in[i]) - forward.mean[c]) * forward.inverse_deviation[c];
  };
  const auto arriving = [&](std::size_t i, std::size_t c) {
    return leaky_slope(shape, weighted(shape, weights, c, normalised(i, c))) * to_float(output_gradient[i]);
  };
  std::vector<double> mean(forward.mean.size());
  std::vector<double> mean_product(forward.mean.size());
  visit_elements(shape, [&](std::size_t i, std::size_t c) {
    mean[c] += arriving(i, c) / voxels;
    mean_product[c] += arriving(i, c) * normalised(i, c) / voxels;
  });
  std::vector<double> gradient(forward.out.size());
  visit_elements(shape, [&](std::size_t i, std::size_t c) {
    const double weight = shape.affine ? weights.weight[c % static_cast<std::size_t>(shape.channels)] : 1.0;
    gradient[i] =
        weight * forward.inverse_deviation[c] * (arriving(i, c) - mean[c] - normalised(i, c) * mean_product[c]);
  });
  if (to_weights != nullptr) {
    const auto channels = static_cast<std::size_t>(shape.channels);
    to_weights->assign(2 * channels, 0.0);
    for (std::size_t c = 0; c < mean.size(); ++c) {
      (*to_weights)[c % channels] += voxels * mean_product[c];
      (*to_weights)[channels + c % channels] += voxels * mean[c];
    }
  }
  return gradient;
}

}  // namespace regatta::kernels
