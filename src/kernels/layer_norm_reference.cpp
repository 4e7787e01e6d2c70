#include "regatta/kernels/layer_norm.hpp"

#include <array>
#include <cmath>

namespace regatta::kernels {
namespace {

std::size_t sized(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

double factor_of(const LayerNormShape& shape, const LayerNormInputs& inputs, std::int64_t place) {
  return inputs.factors.empty() ? 1.0 : inputs.factors[sized(place / (shape.size.voxels() * shape.channels))];
}

std::vector<double> sum_of(const LayerNormShape& shape, const LayerNormInputs& inputs) {
  std::vector<double> sum = inputs.stream;
  sum.resize(sized(shape.values()));
  for (std::int64_t i = 0; i < shape.values() && !inputs.branch.empty(); ++i) {
    const double bias = inputs.bias.empty() ? 0.0 : inputs.bias[sized(i % shape.channels)];
    sum[sized(i)] += factor_of(shape, inputs, i) * (inputs.branch[sized(i)] + bias);
  }
  return sum;
}

/// The normalised values of one row, and 1 / deviation.
struct Row {
  std::vector<double> normalised;
  double inverse_deviation = 0.0;

  Row(const LayerNormShape& shape, const std::vector<double>& sum, std::int64_t row) {
    const int channels = shape.row_channels();
    double mean = 0.0;
    for (int c = 0; c < channels; ++c) {
      normalised.push_back(sum[sized(layer_norm_place(shape, row, c))]);
      mean += normalised.back() / channels;
    }
    double variance = 0.0;
    for (double& value : normalised) {
      value -= mean;
      variance += value * value / channels;
    }
    inverse_deviation = 1.0 / std::sqrt(variance + kLayerNormEpsilon);
    for (double& value : normalised) {
      value *= inverse_deviation;
    }
  }
};

}  // namespace

std::int64_t layer_norm_place(const LayerNormShape& shape, std::int64_t row, int channel) {
  if (!shape.merge) {
    return row * shape.channels + channel;
  }
  constexpr std::array<std::array<int, 3>, 8> kOctants = {
      {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}}};
  const auto& octant = kOctants[sized(channel / shape.channels)];
  const VolumeSize& size = shape.size;
  const std::int64_t w = row % (size.w / 2) * 2 + octant[2];
  const std::int64_t h = row / (size.w / 2) % (size.h / 2) * 2 + octant[1];
  const std::int64_t planes = row / (size.w / 2) / (size.h / 2);  // of all samples
  const std::int64_t d = planes * 2 + octant[0];
  return ((d * size.h + h) * size.w + w) * shape.channels + channel % shape.channels;
}

LayerNormResult layer_norm_reference(const LayerNormShape& shape, const LayerNormInputs& inputs) {
  LayerNormResult result = {sum_of(shape, inputs), {}};
  for (std::int64_t r = 0; r < shape.rows(); ++r) {
    const Row row(shape, result.sum, r);
    for (int c = 0; c < shape.row_channels(); ++c) {
      result.out.push_back(row.normalised[sized(c)] * inputs.weight[sized(c)] + inputs.shift[sized(c)]);
    }
  }
  return result;
}

LayerNormGradients layer_norm_gradient_reference(const LayerNormShape& shape, const LayerNormInputs& inputs,
                                                 const std::vector<double>& out_gradient,
                                                 const std::vector<double>& sum_gradient) {
  const int channels = shape.row_channels();
  const std::vector<double> sum = sum_of(shape, inputs);
  LayerNormGradients result;
  result.to_sum.resize(sum.size());
  result.to_branch.resize(sum.size());
  result.to_weight.resize(sized(channels));
  result.to_shift.resize(sized(channels));
  result.to_bias.resize(sized(shape.channels));
  for (std::int64_t r = 0; r < shape.rows(); ++r) {
    const Row row(shape, sum, r);
    const double* arriving = out_gradient.data() + r * channels;
    double mean = 0.0;
    double mean_product = 0.0;
    for (int c = 0; c < channels; ++c) {
      const double t = row.normalised[sized(c)];
      const double e = arriving[c] * inputs.weight[sized(c)];
      mean += e / channels;
      mean_product += e * t / channels;
      result.to_weight[sized(c)] += arriving[c] * t;
      result.to_shift[sized(c)] += arriving[c];
    }
    for (int c = 0; c < channels; ++c) {
      const std::size_t place = sized(layer_norm_place(shape, r, c));
      const double e = arriving[c] * inputs.weight[sized(c)];
      const double own = row.inverse_deviation * (e - mean - row.normalised[sized(c)] * mean_product);
      result.to_sum[place] = own + (sum_gradient.empty() ? 0.0 : sum_gradient[place]);
    }
  }
  for (std::size_t i = 0; i < sum.size(); ++i) {
    result.to_branch[i] = factor_of(shape, inputs, static_cast<std::int64_t>(i)) * result.to_sum[i];
    result.to_bias[i % sized(shape.channels)] += result.to_branch[i];
  }
  return result;
}

}  // namespace regatta::kernels
