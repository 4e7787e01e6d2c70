// Sums as the definitions have them, one voxel at a time.
#include "regatta/base/error.hpp"
#include "regatta/kernels/conv.hpp"

namespace regatta::kernels {
namespace {

constexpr int kTaps = 3;
constexpr int kVolume = 27;
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

}  // namespace

double conv_forward_reference(const ConvShape& shape, const ConvForward& arrays, const float* weights,
                              const ConvPlace& place) {
  double sum = arrays.bias != nullptr ? arrays.bias[place.channel] : 0.0;
  for (int channel = 0; channel < shape.in(); ++channel) {
    const float* taps = weights + (static_cast<std::int64_t>(place.channel) * shape.in() + channel) * kVolume;
    for (int tap = 0; tap < kVolume; ++tap) {
      const ConvPlace from = {place.n, place.d * shape.stride + tap / 9 - 1, place.h * shape.stride + tap / 3 % 3 - 1,
                              place.w * shape.stride + tap % 3 - 1, channel};
      sum += taps[tap] * input_at(shape, arrays.first, arrays.second, from);
    }
  }
  return leaky(sum, arrays.slope);
}

double conv_input_gradient_reference(const ConvShape& shape, ConvPass pass, const ConvInputGradient& arrays,
                                     const float* weights, const ConvPlace& place) {
  REGATTA_REQUIRE(shape.stride == 1, BugError, "input gradient of a convolution of stride ", shape.stride);
  const bool first = pass == ConvPass::kFirstGradient;
  const ConvInput input = first ? shape.first : shape.second;
  const int channel = place.channel + (first ? 0 : shape.first.channels);
  const std::int64_t step = input.upsampled ? 2 : 1;
  double sum = 0.0;
  for (std::int64_t child = 0; child < step * step * step; ++child) {
    for (int out = 0; out < shape.out; ++out) {
      const float* taps = weights + (static_cast<std::int64_t>(out) * shape.in() + channel) * kVolume;
      for (int tap = 0; tap < kVolume; ++tap) {
        const ConvPlace from = {place.n, place.d * step + child / (step * step) - tap / 9 + 1,
                                place.h * step + child / step % step - tap / 3 % 3 + 1,
                                place.w * step + child % step - tap % 3 + 1, out};
        sum += taps[tap] * gradient_at(shape, arrays.output_gradient, from);
      }
    }
  }
  if (arrays.activation != nullptr) {
    const VolumeSize& size = shape.size;
    const std::int64_t voxel =
        ((place.n * (size.d / step) + place.d) * (size.h / step) + place.h) * (size.w / step) + place.w;
    sum *= to_float(arrays.activation[voxel * input.channels + place.channel]) > 0.0F ? 1.0 : arrays.slope;
  }
  return sum;
}

double conv_weight_gradient_reference(const ConvShape& shape, const ConvWeightGradient& arrays, std::int64_t index) {
  const std::int64_t weights = static_cast<std::int64_t>(shape.out) * shape.in() * kVolume;
  const bool bias = index >= weights;
  const auto out = static_cast<int>(bias ? index - weights : index / kVolume / shape.in());
  const auto channel = static_cast<int>(index / kVolume % shape.in());
  const std::int64_t tap = index % kVolume;
  const VolumeSize size = shape.output_size();
  double sum = 0.0;
  for (std::int64_t voxel = 0; voxel < size.all(); ++voxel) {
    const ConvPlace at = {voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h, voxel % size.w,
                          out};
    const ConvPlace from = {at.n, at.d * shape.stride + tap / 9 - 1, at.h * shape.stride + tap / 3 % kTaps - 1,
                            at.w * shape.stride + tap % kTaps - 1, channel};
    const double value = bias ? 1.0 : input_at(shape, arrays.first, arrays.second, from);
    sum += value == 0.0 ? 0.0 : value * gradient_at(shape, arrays.output_gradient, at);
  }
  return sum;
}

}  // namespace regatta::kernels
