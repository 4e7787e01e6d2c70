// Sums as the definitions have them, one voxel at a time.
#include <algorithm>
#include <cstdlib>

#include "regatta/base/error.hpp"
#include "regatta/kernels/conv.hpp"

namespace regatta::kernels {
namespace {

constexpr int kQuads = 4;

/// One of the two inputs.
struct Side {
  ConvInput input;
  const Bf16* values;
  int offset;  // of its channels in the weights
};

Side side_of(const ConvShape& shape, const Bf16* first, const Bf16* second, int channel) {
  if (channel < shape.first.channels) {
    return {shape.first, first, 0};
  }
  return {shape.second, second, shape.first.channels};
}

/// Channel `channel` of the concatenated inputs at a voxel of the grid after up-sampling; 0 outside.
double input_at(const ConvShape& shape, const Bf16* first, const Bf16* second, const ConvPlace& at) {
  const VolumeSize& size = shape.size;
  if (at.d < 0 || at.d >= size.d || at.h < 0 || at.h >= size.h || at.w < 0 || at.w >= size.w) {
    return 0.0;
  }
  const Side side = side_of(shape, first, second, at.channel);
  const std::int64_t step = side.input.upsampled ? 2 : 1;
  const std::int64_t voxel =
      ((at.n * (size.d / step) + at.d / step) * (size.h / step) + at.h / step) * (size.w / step) + at.w / step;
  return to_float(side.values[voxel * side.input.channels + at.channel - side.offset]);
}

double gradient_at(const ConvShape& shape, const Bf16* gradient, const ConvPlace& at) {
  const VolumeSize size = shape.output_size();
  if (at.d < 0 || at.d >= size.d || at.h < 0 || at.h >= size.h || at.w < 0 || at.w >= size.w) {
    return 0.0;
  }
  const std::int64_t voxel = ((at.n * size.d + at.d) * size.h + at.h) * size.w + at.w;
  return to_float(gradient[voxel * (shape.out == 3 ? kQuads : shape.out) + at.channel]);
}

double leaky(double value, double slope) {
  return value > 0.0 ? value : value * slope;
}

/// A voxel of the kernel, -reach..reach along each axis.
struct Tap {
  std::int64_t d, h, w;
};

std::int64_t volume_of_kernel(const ConvShape& shape) {
  return static_cast<std::int64_t>(shape.edge) * shape.edge * shape.edge;
}

Tap tap_of(const ConvShape& shape, std::int64_t tap) {
  const std::int64_t reach = shape.edge / 2;
  return {tap / (shape.edge * shape.edge) - reach, tap / shape.edge % shape.edge - reach, tap % shape.edge - reach};
}

float slope_of(float slope, const float* prelu) {
  return prelu != nullptr ? *prelu : slope;
}

}  // namespace

std::vector<float> folded_weights(const ConvShape& shape, const float* weights, const float* inner,
                                  const float* centre) {
  const std::int64_t volume = volume_of_kernel(shape);
  std::vector<float> folded(static_cast<std::size_t>(shape.out) * shape.in() * volume);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(folded.size()); ++i) {
    const auto [d, h, w] = tap_of(shape, i % volume);
    float sum = weights[i];
    if (inner != nullptr && std::max({std::abs(d), std::abs(h), std::abs(w)}) <= 1) {
      sum += inner[i / volume * 27 + (d + 1) * 9 + (h + 1) * 3 + w + 1];
    }
    if (centre != nullptr && d == 0 && h == 0 && w == 0) {
      sum += centre[i / volume];
    }
    folded[i] = to_float(to_bf16(sum));
  }
  return folded;
}

double conv_forward_reference(const ConvShape& shape, const ConvForward& arrays, const float* weights,
                              const ConvPlace& place) {
  const std::int64_t volume = volume_of_kernel(shape);
  double sum = shape.identity ? input_at(shape, arrays.first, arrays.second, place) : 0.0;
  for (const float* bias : {arrays.bias, arrays.inner_bias, arrays.centre_bias}) {
    sum += bias != nullptr ? bias[place.channel] : 0.0;
  }
  for (int channel = 0; channel < shape.in(); ++channel) {
    const float* taps = weights + (static_cast<std::int64_t>(place.channel) * shape.in() + channel) * volume;
    for (std::int64_t tap = 0; tap < volume; ++tap) {
      const auto [d, h, w] = tap_of(shape, tap);
      const ConvPlace from = {place.n, place.d * shape.stride + d, place.h * shape.stride + h,
                              place.w * shape.stride + w, channel};
      sum += taps[tap] * input_at(shape, arrays.first, arrays.second, from);
    }
  }
  return leaky(sum, slope_of(arrays.slope, arrays.prelu));
}

double conv_activation_gradient_reference(const ConvShape& shape, ConvPass pass, const Bf16* output_gradient,
                                          const float* weights, const ConvPlace& place) {
  const bool first = pass == ConvPass::kFirstGradient;
  const ConvInput input = first ? shape.first : shape.second;
  const int channel = place.channel + (first ? 0 : shape.first.channels);
  const std::int64_t step = input.upsampled ? 2 : 1;
  const std::int64_t volume = volume_of_kernel(shape);
  double sum = shape.identity ? gradient_at(shape, output_gradient, place) : 0.0;
  for (std::int64_t child = 0; child < step * step * step; ++child) {
    for (int out = 0; out < shape.out; ++out) {
      const float* taps = weights + (static_cast<std::int64_t>(out) * shape.in() + channel) * volume;
      for (std::int64_t tap = 0; tap < volume; ++tap) {
        const auto [d, h, w] = tap_of(shape, tap);
        const std::int64_t centre[3] = {place.d * step + child / (step * step) - d,
                                        place.h * step + child / step % step - h, place.w * step + child % step - w};
        if (std::ranges::all_of(centre, [&](std::int64_t at) { return at % shape.stride == 0; })) {
          const ConvPlace from = {place.n, centre[0] / shape.stride, centre[1] / shape.stride, centre[2] / shape.stride,
                                  out};
          sum += taps[tap] * gradient_at(shape, output_gradient, from);
        }
      }
    }
  }
  return sum;
}

double conv_input_gradient_reference(const ConvShape& shape, ConvPass pass, const ConvInputGradient& arrays,
                                     const float* weights, const ConvPlace& place) {
  double sum = conv_activation_gradient_reference(shape, pass, arrays.output_gradient, weights, place);
  const ConvInput& input = pass == ConvPass::kFirstGradient ? shape.first : shape.second;
  const std::int64_t step = input.upsampled ? 2 : 1;
  const Bf16* sign = arrays.before_prelu != nullptr ? arrays.before_prelu : arrays.activation;
  if (sign != nullptr) {
    const VolumeSize& size = shape.size;
    const std::int64_t voxel =
        ((place.n * (size.d / step) + place.d) * (size.h / step) + place.h) * (size.w / step) + place.w;
    const double slope = slope_of(arrays.slope, arrays.prelu);
    sum *= to_float(sign[voxel * input.channels + place.channel]) > 0.0F ? 1.0 : slope;
  }
  return sum;
}

double conv_weight_gradient_reference(const ConvShape& shape, const ConvWeightGradient& arrays, std::int64_t index) {
  const std::int64_t volume = volume_of_kernel(shape);
  const std::int64_t weights = static_cast<std::int64_t>(shape.out) * shape.in() * volume;
  const bool bias = index >= weights;
  const auto out = static_cast<int>(bias ? index - weights : index / volume / shape.in());
  const auto channel = static_cast<int>(index / volume % shape.in());
  const auto [d, h, w] = tap_of(shape, index % volume);
  const VolumeSize size = shape.output_size();
  double sum = 0.0;
  for (std::int64_t voxel = 0; voxel < size.all(); ++voxel) {
    const ConvPlace at = {voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h, voxel % size.w,
                          out};
    const ConvPlace from = {at.n, at.d * shape.stride + d, at.h * shape.stride + h, at.w * shape.stride + w, channel};
    const double value = bias ? 1.0 : input_at(shape, arrays.first, arrays.second, from);
    sum += value == 0.0 ? 0.0 : value * gradient_at(shape, arrays.output_gradient, at);
  }
  return sum;
}

}  // namespace regatta::kernels
