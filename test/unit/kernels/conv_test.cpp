#include "regatta/kernels/conv.hpp"

#include <cstdint>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/kernels/device.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// Small whole numbers: exact in bf16, and so are their products and sums.
std::vector<Bf16> whole_values(std::size_t count, unsigned seed) {
  std::vector<Bf16> values(count);
  for (Bf16& value : values) {
    seed = seed * 1664525U + 1013904223U;
    value = to_bf16(static_cast<float>(seed >> 29U) - 3.0F);
  }
  return values;
}

std::vector<float> whole_floats(std::size_t count, unsigned seed) {
  std::vector<float> values;
  for (const Bf16 value : whole_values(count, seed)) {
    values.push_back(to_float(value));
  }
  return values;
}

template <class Work>
void for_each_place(const VolumeSize& size, int channels, const Work& work) {
  for (std::int64_t voxel = 0; voxel < size.all(); ++voxel) {
    for (int channel = 0; channel < channels; ++channel) {
      work(ConvPlace{voxel / size.voxels(), voxel / size.plane() % size.d, voxel / size.w % size.h, voxel % size.w,
                     channel},
           voxel * channels + channel);
    }
  }
}

Capability h200() {
  return {9, 0, 132, std::size_t{227} << 10};
}

}  // namespace

TEST_CASE("a convolution of ones counts the neighbours within the volume") {
  const ConvShape shape = {.size = {1, 3, 3, 4}, .first = {2}, .second = {}, .out = 8};
  const std::vector<Bf16> ones(72, to_bf16(1.0F));
  const std::vector<float> weights(static_cast<std::size_t>(8) * 2 * 27, 1.0F);
  const std::vector<float> bias = {-100.0F, 0, 0, 0, 0, 0, 0, 0};
  ConvForward arrays;
  arrays.first = ones.data();
  arrays.bias = bias.data();
  arrays.slope = 0.25F;
  CHECK(conv_forward_reference(shape, arrays, weights.data(), {0, 1, 1, 1, 1}) == 54.0);
  CHECK(conv_forward_reference(shape, arrays, weights.data(), {0, 0, 0, 0, 1}) == 16.0);
  CHECK(conv_forward_reference(shape, arrays, weights.data(), {0, 0, 0, 0, 0}) == -21.0);
}

TEST_CASE("input gradients are the adjoint of the forward pass, also through up-sampling") {
  const ConvShape shape = {.size = {2, 4, 6, 4}, .first = {8, true}, .second = {2}, .out = 8};
  const std::vector<Bf16> first = whole_values(2 * 96 / 8 * 8, 1);
  const std::vector<Bf16> second = whole_values(2 * 96 * 2, 2);
  const std::vector<Bf16> gradient = whole_values(2 * 96 * 8, 3);
  const std::vector<float> weights = whole_floats(static_cast<std::size_t>(8) * 10 * 27, 4);
  ConvForward forward;
  forward.first = first.data();
  forward.second = second.data();
  double by_output = 0.0;
  for_each_place(shape.output_size(), 8, [&](const ConvPlace& place, std::int64_t at) {
    by_output += conv_forward_reference(shape, forward, weights.data(), place) * to_float(gradient[at]);
  });
  ConvInputGradient backward;
  backward.output_gradient = gradient.data();
  double by_input = 0.0;
  for_each_place({2, 2, 3, 2}, 8, [&](const ConvPlace& place, std::int64_t at) {
    by_input += to_float(first[at]) *
                conv_input_gradient_reference(shape, ConvPass::kFirstGradient, backward, weights.data(), place);
  });
  for_each_place(shape.size, 2, [&](const ConvPlace& place, std::int64_t at) {
    by_input += to_float(second[at]) *
                conv_input_gradient_reference(shape, ConvPass::kSecondGradient, backward, weights.data(), place);
  });
  CHECK(by_output == by_input);
}

TEST_CASE("weight gradients are the adjoint of the forward pass in the weights and the bias") {
  for (const int stride : {1, 2}) {
    const ConvShape shape = {.size = {1, 5, 4, 3}, .first = {2}, .second = {}, .out = 8, .stride = stride};
    const std::vector<Bf16> first = whole_values(60 * 2, 1);
    const std::vector<Bf16> gradient = whole_values(60 * 8, 2);
    const std::vector<float> weights = whole_floats(static_cast<std::size_t>(8) * 2 * 27, 3);
    const std::vector<float> bias = whole_floats(8, 4);
    ConvForward forward;
    forward.first = first.data();
    forward.bias = bias.data();
    double by_output = 0.0;
    for_each_place(shape.output_size(), 8, [&](const ConvPlace& place, std::int64_t at) {
      by_output += conv_forward_reference(shape, forward, weights.data(), place) * to_float(gradient[at]);
    });
    ConvWeightGradient backward;
    backward.first = first.data();
    backward.output_gradient = gradient.data();
    double by_weights = 0.0;
    for (std::size_t i = 0; i < weights.size() + bias.size(); ++i) {
      const double value = i < weights.size() ? weights[i] : bias[i - weights.size()];
      by_weights += value * conv_weight_gradient_reference(shape, backward, static_cast<std::int64_t>(i));
    }
    CHECK(by_output == by_weights);
  }
}

TEST_CASE("the mask is the stored activation's sign") {
  const ConvShape shape = {.size = {1, 1, 1, 3}, .first = {8}, .second = {}, .out = 8};
  std::vector<float> weights(static_cast<std::size_t>(8) * 8 * 27, 0.0F);
  weights[13] = 1.0F;  // out 0 reads channel 0
  const std::vector<Bf16> gradient(24, to_bf16(1.0F));
  std::vector<Bf16> activation(24, to_bf16(0.0F));
  activation[0] = to_bf16(2.0F);
  activation[8] = to_bf16(-2.0F);
  ConvInputGradient arrays;
  arrays.output_gradient = gradient.data();
  arrays.activation = activation.data();
  arrays.slope = 0.25F;
  const auto at = [&](std::int64_t w) {
    return conv_input_gradient_reference(shape, ConvPass::kFirstGradient, arrays, weights.data(), {0, 0, 0, w, 0});
  };
  CHECK(at(0) == 1.0);
  CHECK(at(1) == 0.25);
  CHECK(at(2) == 0.25);
}

TEST_CASE("every pass of VoxelMorph-2 at half and full resolution has a form, also for compute capability 8.0") {
  const VolumeSize full = {1, 160, 192, 224};
  const VolumeSize half = {1, 80, 96, 112};
  const std::vector<ConvShape> layers = {
      {.size = half, .first = {32, true}, .second = {16}, .out = 32},
      {.size = full, .first = {32, true}, .second = {2}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 16},
      {.size = full, .first = {16}, .second = {}, .out = 16},
      {.size = full, .first = {16}, .second = {}, .out = 3},
  };
  for (const Capability& chip : {h200(), as_sm80(h200())}) {
    for (const ConvShape& shape : layers) {
      CHECK(has_form(shape, ConvPass::kForward, chip));
      CHECK(has_form(shape, ConvPass::kFirstGradient, chip));
      CHECK(has_form(shape, ConvPass::kSecondGradient, chip) == (shape.second.channels > 2));
      CHECK(has_form(shape, ConvPass::kWeightGradient, chip));
      CHECK(packed_bytes(shape, ConvPass::kForward, chip) >= static_cast<std::size_t>(shape.in()) * shape.out * 27 * 2);
      CHECK(weight_scratch_bytes(shape, chip) % 4 == 0);
    }
    const ConvShape first = {.size = full, .first = {2}, .second = {}, .out = 16, .stride = 2};
    CHECK(has_form(first, ConvPass::kForward, chip));
    CHECK(has_form(first, ConvPass::kWeightGradient, chip));
    CHECK_FALSE(has_form(first, ConvPass::kFirstGradient, chip));
  }
}

TEST_CASE("VoxelMorph-1 has forms everywhere, VoxelMorph-x2 at full resolution of an H200") {
  const VolumeSize full = {1, 160, 192, 224};
  const VolumeSize half = {1, 80, 96, 112};
  const auto has_all = [](const ConvShape& shape, const Capability& chip) {
    return has_form(shape, ConvPass::kForward, chip) && has_form(shape, ConvPass::kFirstGradient, chip) &&
           has_form(shape, ConvPass::kWeightGradient, chip);
  };
  const std::vector<ConvShape> one = {
      {.size = half, .first = {32, true}, .second = {8}, .out = 32},
      {.size = full, .first = {32, true}, .second = {2}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 8},
      {.size = full, .first = {8}, .second = {}, .out = 8},
      {.size = full, .first = {8}, .second = {}, .out = 3},
  };
  const std::vector<ConvShape> x2 = {
      {.size = full, .first = {64}, .second = {}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 3},
  };
  for (const Capability& chip : {h200(), as_sm80(h200())}) {
    for (const ConvShape& shape : one) {
      CHECK(has_all(shape, chip));
    }
    CHECK(has_form(one[0], ConvPass::kSecondGradient, chip));
    for (const ConvShape& shape : x2) {
      CHECK(has_all(shape, chip));
    }
  }
  const ConvShape widest = {.size = full, .first = {64, true}, .second = {2}, .out = 64};
  CHECK(has_all(widest, h200()));
  CHECK_FALSE(has_form(widest, ConvPass::kForward, as_sm80(h200())));
}

TEST_CASE("what has no kernel is answered, and is an error to those who did not ask") {
  const VolumeSize size = {1, 16, 16, 16};
  CHECK_FALSE(has_form({.size = size, .first = {24}, .second = {}, .out = 16}, ConvPass::kForward, h200()));
  CHECK_FALSE(
      has_form({.size = {1, 15, 16, 16}, .first = {32, true}, .second = {2}, .out = 32}, ConvPass::kForward, h200()));
  const ConvShape known = {.size = size, .first = {16}, .second = {}, .out = 16};
  CHECK(has_form(known, ConvPass::kForward, h200()));
  CHECK_FALSE(has_form(known, ConvPass::kForward, {7, 5, 40, std::size_t{64} << 10}));
  CHECK_THROWS_AS(packed_bytes({.size = size, .first = {24}, .second = {}, .out = 16}, ConvPass::kForward, h200()),
                  BugError);
  CHECK_THROWS_AS(conv_forward(known, {}, h200(), nullptr), BugError);
}

TEST_CASE("child sums have a voxel more along each axis") {
  const ConvShape shape = {.size = {2, 4, 6, 8}, .first = {32, true}, .second = {2}, .out = 32};
  CHECK(child_sum_bytes(shape) == 2U * 5 * 7 * 9 * 32 * 2);
  CHECK(child_sum_bytes({.size = {2, 4, 6, 8}, .first = {32}, .second = {}, .out = 16}) == 0);
}

}  // namespace regatta::kernels
