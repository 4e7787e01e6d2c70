// Sums as the definitions have them, one result at a time.
#include "regatta/kernels/up_conv.hpp"

namespace regatta::kernels {
namespace {

std::int64_t voxel_of(const VolumeSize& size, const UpConvPlace& at) {
  return ((at.n * size.d + at.d) * size.h + at.h) * size.w + at.w;
}

std::int64_t weight_index(const UpConvShape& shape, int in, int out, std::int64_t d, std::int64_t h, std::int64_t w) {
  return (static_cast<std::int64_t>(in) * shape.channels + out) * 8 + d * 4 + h * 2 + w;
}

double value_at(const Bf16* values, const VolumeSize& size, int channels, const UpConvPlace& at, int channel) {
  return to_float(values[voxel_of(size, at) * channels + channel]);
}

UpConvPlace child_of(const UpConvPlace& place, int child) {
  return {place.n, 2 * place.d + child / 4, 2 * place.h + child / 2 % 2, 2 * place.w + child % 2, place.channel};
}

double leaky(double value, float slope, const float* prelu) {
  return value > 0.0 ? value : value * (prelu != nullptr ? *prelu : slope);
}

}  // namespace

double up_conv_forward_reference(const UpConvShape& shape, const UpConvForward& arrays, const float* weights,
                                 const UpConvPlace& place) {
  const UpConvPlace parent = {place.n, place.d / 2, place.h / 2, place.w / 2, 0};
  double sum = arrays.bias != nullptr ? arrays.bias[place.channel] : 0.0;
  for (int in = 0; in < shape.channels; ++in) {
    sum += value_at(arrays.in, shape.size, shape.channels, parent, in) *
           weights[weight_index(shape, in, place.channel, place.d % 2, place.h % 2, place.w % 2)];
  }
  return leaky(sum, arrays.slope, arrays.prelu);
}

double up_conv_activation_gradient_reference(const UpConvShape& shape, const Bf16* output_gradient,
                                             const float* weights, const UpConvPlace& place) {
  double sum = 0.0;
  for (int child = 0; child < 8; ++child) {
    for (int out = 0; out < shape.channels; ++out) {
      sum += value_at(output_gradient, shape.output_size(), shape.channels, child_of(place, child), out) *
             weights[weight_index(shape, place.channel, out, child / 4, child / 2 % 2, child % 2)];
    }
  }
  return sum;
}

double up_conv_input_gradient_reference(const UpConvShape& shape, const UpConvInputGradient& arrays,
                                        const float* weights, const UpConvPlace& place) {
  const double sum = up_conv_activation_gradient_reference(shape, arrays.output_gradient, weights, place);
  const Bf16* sign = arrays.before_prelu != nullptr ? arrays.before_prelu : arrays.activation;
  const bool positive = sign == nullptr || value_at(sign, shape.size, shape.channels, place, place.channel) > 0.0;
  return positive ? sum : sum * (arrays.prelu != nullptr ? *arrays.prelu : arrays.slope);
}

double up_conv_weight_gradient_reference(const UpConvShape& shape, const UpConvWeightGradient& arrays,
                                         std::int64_t index) {
  const VolumeSize& size = shape.size;
  const std::int64_t weights = static_cast<std::int64_t>(shape.channels) * shape.channels * 8;
  const bool bias = index >= weights;
  const auto out = static_cast<int>(bias ? index - weights : index / 8 % shape.channels);
  const auto in = static_cast<int>(index / 8 / shape.channels);
  double sum = 0.0;
  for (std::int64_t voxel = 0; voxel < size.all(); ++voxel) {
    const UpConvPlace at = {voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h,
                            voxel % size.w, 0};
    for (int child = bias ? 0 : static_cast<int>(index % 8); child < 8; child += bias ? 1 : 8) {
      sum += (bias ? 1.0 : value_at(arrays.in, size, shape.channels, at, in)) *
             value_at(arrays.output_gradient, shape.output_size(), shape.channels, child_of(at, child), out);
    }
  }
  return sum;
}

}  // namespace regatta::kernels
