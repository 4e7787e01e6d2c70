#include "regatta/kernels/up_conv.hpp"

#include <cstdint>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/kernels/device.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// Small whole numbers: exact in bf16, and so are their products and sums.
std::vector<float> whole_floats(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525U + 1013904223U;
    value = static_cast<float>(seed >> 29U) - 3.0F;
  }
  return values;
}

std::vector<Bf16> whole_values(std::size_t count, unsigned seed) {
  std::vector<Bf16> values;
  for (const float value : whole_floats(count, seed)) {
    values.push_back(to_bf16(value));
  }
  return values;
}

template <class Work>
void for_each_place(const VolumeSize& size, int channels, const Work& work) {
  for (std::int64_t i = 0; i < size.all() * channels; ++i) {
    const std::int64_t voxel = i / channels;
    work(UpConvPlace{voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h, voxel % size.w,
                     static_cast<int>(i % channels)},
         i);
  }
}

Capability h200() {
  return {9, 0, 132, std::size_t{227} << 10};
}

}  // namespace

TEST_CASE("a transposed convolution writes each voxel's own kernel, as PyTorch has it") {
  const UpConvShape shape = {.size = {1, 1, 1, 2}, .channels = 16};
  std::vector<float> weights(static_cast<std::size_t>(16) * 16 * 8, 0.0F);
  weights[(2 * 16 + 3) * 8 + 5] = 2.0F;  // channel 2 to channel 3 at (1, 0, 1)
  std::vector<Bf16> in(32, to_bf16(0.0F));
  in[16 + 2] = to_bf16(3.0F);
  const std::vector<float> bias(16, -1.0F);
  UpConvForward arrays;
  arrays.in = in.data();
  arrays.bias = bias.data();
  arrays.slope = 0.5F;
  CHECK(up_conv_forward_reference(shape, arrays, weights.data(), {0, 1, 0, 3, 3}) == 5.0);
  CHECK(up_conv_forward_reference(shape, arrays, weights.data(), {0, 1, 0, 2, 3}) == -0.5);
  CHECK(up_conv_forward_reference(shape, arrays, weights.data(), {0, 1, 0, 3, 2}) == -0.5);
}

TEST_CASE("gradients of a transposed convolution are the adjoint of the forward pass") {
  const UpConvShape shape = {.size = {2, 2, 3, 2}, .channels = 16};
  const std::vector<Bf16> in = whole_values(24 * 16, 1);
  const std::vector<Bf16> gradient = whole_values(24 * 8 * 16, 2);
  const std::vector<float> weights = whole_floats(static_cast<std::size_t>(16) * 16 * 8, 3);
  const std::vector<float> bias = whole_floats(16, 4);
  UpConvForward forward;
  forward.in = in.data();
  UpConvForward with_bias = forward;
  with_bias.bias = bias.data();
  UpConvInputGradient backward;
  backward.output_gradient = gradient.data();
  UpConvWeightGradient to_weights;
  to_weights.in = in.data();
  to_weights.output_gradient = gradient.data();
  double by_output = 0.0;
  double by_output_and_bias = 0.0;
  for_each_place(shape.output_size(), 16, [&](const UpConvPlace& place, std::int64_t at) {
    by_output += up_conv_forward_reference(shape, forward, weights.data(), place) * to_float(gradient[at]);
    by_output_and_bias += up_conv_forward_reference(shape, with_bias, weights.data(), place) * to_float(gradient[at]);
  });
  double by_input = 0.0;
  for_each_place(shape.size, 16, [&](const UpConvPlace& place, std::int64_t at) {
    by_input += up_conv_input_gradient_reference(shape, backward, weights.data(), place) * to_float(in[at]);
  });
  double by_weights = 0.0;
  for (std::size_t i = 0; i < weights.size() + bias.size(); ++i) {
    const double value = i < weights.size() ? weights[i] : bias[i - weights.size()];
    by_weights += value * up_conv_weight_gradient_reference(shape, to_weights, static_cast<std::int64_t>(i));
  }
  CHECK(by_output == by_input);
  CHECK(by_output_and_bias == by_weights);
}

TEST_CASE("transposed convolutions have forms for 16 and 32 channels, and refuse what they do not know") {
  const VolumeSize half = {1, 80, 96, 112};
  for (const int channels : {8, 16, 32, 64}) {
    CHECK(has_form(UpConvShape{.size = half, .channels = channels}, h200()) == (channels == 16 || channels == 32));
  }
  const UpConvShape known = {.size = half, .channels = 16, .prelu = true, .input_prelu = true};
  CHECK_FALSE(has_form(known, {7, 5, 40, std::size_t{64} << 10}));
  CHECK(packed_bytes(known) == 2U * 16 * 16 * 8 * 2);
  CHECK(weight_scratch_bytes(known, h200()) % 16 == 0);
  CHECK(slope_scratch_bytes(known, h200()) > 0);
  CHECK_THROWS_AS(up_conv_forward(known, {}, h200(), nullptr), BugError);
  CHECK_THROWS_AS(weight_scratch_bytes({.size = half, .channels = 24}, h200()), BugError);
}

}  // namespace regatta::kernels
