#include "regatta/kernels/conv.hpp"

#include <algorithm>
#include <cstddef>
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

TEST_CASE("input gradients of stride 2 are the adjoint of the forward pass at odd and even sizes") {
  const ConvShape shape = {.size = {2, 5, 4, 3}, .first = {8}, .second = {}, .out = 16, .stride = 2};
  const std::vector<Bf16> first = whole_values(120 * 8, 1);
  const std::vector<Bf16> gradient = whole_values(2 * 3 * 2 * 2 * 16, 2);
  const std::vector<float> weights = whole_floats(static_cast<std::size_t>(16) * 8 * 27, 3);
  ConvForward forward;
  forward.first = first.data();
  double by_output = 0.0;
  for_each_place(shape.output_size(), 16, [&](const ConvPlace& place, std::int64_t at) {
    by_output += conv_forward_reference(shape, forward, weights.data(), place) * to_float(gradient[at]);
  });
  ConvInputGradient backward;
  backward.output_gradient = gradient.data();
  double by_input = 0.0;
  for_each_place(shape.size, 8, [&](const ConvPlace& place, std::int64_t at) {
    by_input += to_float(first[at]) *
                conv_input_gradient_reference(shape, ConvPass::kFirstGradient, backward, weights.data(), place);
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

TEST_CASE("every pass of the package's VoxelMorph has a form, and joins to 32 channels keep theirs") {
  const VolumeSize full = {1, 160, 192, 224};
  const ConvShape join = {.size = full, .first = {16}, .second = {16}, .out = 16};
  for (const Capability& chip : {h200(), as_sm80(h200())}) {
    for (const ConvPass pass :
         {ConvPass::kForward, ConvPass::kFirstGradient, ConvPass::kSecondGradient, ConvPass::kWeightGradient}) {
      CHECK(has_form(join, pass, chip));
    }
  }
  ConvShape wide = join;
  wide.out = 32;
  CHECK(packed_bytes(wide, ConvPass::kForward, h200()) == packed_bytes(join, ConvPass::kForward, h200()) * 2);
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

TEST_CASE("large kernels: all gradients are the adjoint of the forward pass, the added input included") {
  const ConvShape shape = {.size = {1, 4, 3, 6}, .first = {8}, .second = {}, .out = 8, .edge = 5, .identity = true};
  const std::vector<Bf16> first = whole_values(72 * 8, 1);
  const std::vector<Bf16> gradient = whole_values(72 * 8, 2);
  const std::vector<float> weights = whole_floats(static_cast<std::size_t>(8) * 8 * 125, 3);
  const std::vector<float> bias = whole_floats(8, 4);
  ConvForward forward;
  forward.first = first.data();
  ConvForward with_bias = forward;
  with_bias.bias = with_bias.inner_bias = with_bias.centre_bias = bias.data();
  ConvInputGradient backward;
  backward.output_gradient = gradient.data();
  double by_output = 0.0;
  double by_bias = 0.0;
  double by_input = 0.0;
  double by_identity = 0.0;
  for_each_place(shape.size, 8, [&](const ConvPlace& place, std::int64_t at) {
    const double value = conv_forward_reference(shape, forward, weights.data(), place);
    by_output += value * to_float(gradient[at]);
    by_bias += (conv_forward_reference(shape, with_bias, weights.data(), place) - value) * to_float(gradient[at]);
    by_identity += to_float(first[at]) * to_float(gradient[at]);
    by_input += to_float(first[at]) *
                conv_input_gradient_reference(shape, ConvPass::kFirstGradient, backward, weights.data(), place);
  });
  ConvWeightGradient to_weights;
  to_weights.first = first.data();
  to_weights.output_gradient = gradient.data();
  double by_weights = 0.0;
  double by_bias_gradient = 0.0;
  for (std::size_t i = 0; i < weights.size() + bias.size(); ++i) {
    const double value = conv_weight_gradient_reference(shape, to_weights, static_cast<std::int64_t>(i));
    if (i < weights.size()) {
      by_weights += weights[i] * value;
    } else {
      by_bias_gradient += 3.0 * bias[i - weights.size()] * value;
    }
  }
  CHECK(by_output == by_input);
  CHECK(by_output == by_weights + by_identity);
  CHECK(by_bias == by_bias_gradient);
}

TEST_CASE("parallel kernels are added in float32 and rounded once") {
  const ConvShape shape = {.size = {1, 8, 8, 8}, .first = {8}, .second = {}, .out = 8, .edge = 5};
  std::vector<float> whole(static_cast<std::size_t>(64) * 125, 0.0F);
  std::vector<float> inner(static_cast<std::size_t>(64) * 27, 0.0F);
  std::vector<float> centre(64, 0.0F);
  constexpr float kHalfStep = 0.001953125F;  // half of bf16's step at 0.5: lost alone, not twice
  whole[125 + 62] = 0.5F;
  inner[27 + 13] = kHalfStep;
  centre[1] = kHalfStep;
  inner[2] = 1.0F;  // (-1, -1, +1) of kernel 0: place (1, 1, 3) of the large one
  const std::vector<float> folded = folded_weights(shape, whole.data(), inner.data(), centre.data());
  CHECK(folded[125 + 62] == 0.5F + 2.0F * kHalfStep);
  CHECK(folded[1 * 25 + 1 * 5 + 3] == 1.0F);
  CHECK(std::count(folded.begin(), folded.end(), 0.0F) == static_cast<std::ptrdiff_t>(folded.size()) - 2);
}

TEST_CASE("a PReLU's slope may be negative: its derivative is taken from the value before it") {
  const ConvShape shape = {.size = {1, 1, 1, 2}, .first = {.channels = 8, .prelu = true}, .second = {}, .out = 8};
  std::vector<float> weights(static_cast<std::size_t>(8) * 8 * 27, 0.0F);
  weights[13] = 1.0F;
  const std::vector<Bf16> gradient(16, to_bf16(1.0F));
  std::vector<Bf16> before(16, to_bf16(0.0F));
  before[0] = to_bf16(2.0F);
  before[8] = to_bf16(-2.0F);
  const float slope = -0.25F;
  ConvInputGradient arrays;
  arrays.output_gradient = gradient.data();
  arrays.before_prelu = before.data();
  arrays.prelu = &slope;
  const auto at = [&](std::int64_t w) {
    return conv_input_gradient_reference(shape, ConvPass::kFirstGradient, arrays, weights.data(), {0, 0, 0, w, 0});
  };
  CHECK(at(0) == 1.0);
  CHECK(at(1) == -0.25);
}

TEST_CASE("weight gradients of wide inputs have forms on large grids") {
  for (const Capability& chip : {h200(), as_sm80(h200())}) {
    const auto has = [&](const VolumeSize& size, int in, int out, int stride = 1) {
      const ConvShape shape = {.size = size, .first = {in}, .second = {}, .out = out, .stride = stride};
      return has_form(shape, ConvPass::kWeightGradient, chip);
    };
    const VolumeSize quarter = {1, 40, 48, 56};
    CHECK(has(quarter, 288, 96));
    CHECK(has(quarter, 48, 48));
    CHECK_FALSE(has(quarter, 384, 96));
    CHECK_FALSE(has(quarter, 96, 192));
    CHECK_FALSE(has(quarter, 72, 24));
    CHECK_FALSE(has(quarter, 144, 48, 2));
    CHECK_FALSE(has({1, 20, 24, 28}, 144, 48));
    const ConvShape wide = {.size = quarter, .first = {144}, .second = {}, .out = 48};
    CHECK(form_text(wide, ConvPass::kWeightGradient, chip) == "weights 64 -> 48, weights 64 -> 48, weights 16 -> 48");
    const ConvShape slice = {.size = quarter, .first = {64}, .second = {}, .out = 48};
    CHECK(weight_scratch_bytes(wide, chip) == weight_scratch_bytes(slice, chip));
  }
}

TEST_CASE("LKU-Net has forms at full and half resolution, and for its large kernels up to 32 channels") {
  const VolumeSize full = {1, 160, 192, 224};
  const VolumeSize half = {1, 80, 96, 112};
  for (const Capability& chip : {h200(), as_sm80(h200())}) {
    for (const int channels : {8, 16, 32, 64}) {
      const ConvShape block = {.size = half,
                               .first = {.channels = channels, .prelu = true},
                               .second = {},
                               .out = channels,
                               .edge = 5,
                               .identity = true,
                               .prelu = true};
      for (const ConvPass pass : {ConvPass::kForward, ConvPass::kFirstGradient, ConvPass::kWeightGradient}) {
        const bool sliced = pass == ConvPass::kWeightGradient && chip.is_hopper();
        CHECK(has_form(block, pass, chip) == (channels < 64 || sliced));
      }
    }
    const ConvShape join = {.size = full,
                            .first = {.channels = 16, .prelu = true},
                            .second = {.channels = 8, .prelu = true},
                            .out = 16,
                            .prelu = true};
    for (const ConvPass pass :
         {ConvPass::kForward, ConvPass::kFirstGradient, ConvPass::kSecondGradient, ConvPass::kWeightGradient}) {
      CHECK(has_form(join, pass, chip));
    }
    CHECK(slope_scratch_bytes(join, ConvPass::kSecondGradient, chip) >= 4);
  }
  ConvShape other = {.size = full, .first = {16}, .second = {}, .out = 16, .edge = 7};
  CHECK_FALSE(has_form(other, ConvPass::kForward, h200()));
  other.edge = 3;
  other.identity = true;  // small kernels cannot add their input
  CHECK_FALSE(has_form(other, ConvPass::kForward, h200()));
}

TEST_CASE("forms of stride 2 and of many channels, where they are faster than other libraries") {
  const VolumeSize half = {1, 80, 96, 112};
  const auto has = [](const ConvShape& shape, ConvPass pass, const Capability& chip) {
    return has_form(shape, pass, chip);
  };
  for (const Capability& chip : {h200(), as_sm80(h200())}) {
    const ConvShape narrow = {.size = half, .first = {8}, .second = {}, .out = 16, .stride = 2, .prelu = true};
    const ConvShape wide = {.size = half, .first = {32}, .second = {}, .out = 64, .stride = 2, .prelu = true};
    CHECK(has(narrow, ConvPass::kFirstGradient, chip));
    CHECK_FALSE(has(narrow, ConvPass::kWeightGradient, chip));
    CHECK_FALSE(has(wide, ConvPass::kForward, chip));
    CHECK(has(wide, ConvPass::kFirstGradient, chip) == chip.is_hopper());  // 194 KB of shared memory
    CHECK(has(wide, ConvPass::kWeightGradient, chip));
    CHECK(weight_scratch_bytes(wide, chip) >= std::size_t{64} * 32 * 27 * 4);
    const ConvShape head = {.size = half, .first = {64}, .second = {}, .out = 3};
    CHECK(has(head, ConvPass::kWeightGradient, chip));
  }
  for (const VolumeSize& size : {VolumeSize{1, 20, 24, 28}, VolumeSize{1, 10, 12, 14}}) {
    const ConvShape block = {.size = size, .first = {256}, .second = {}, .out = 256, .edge = 5, .identity = true};
    CHECK(has(block, ConvPass::kWeightGradient, h200()));
    CHECK_FALSE(has(block, ConvPass::kForward, h200()));
    CHECK_FALSE(has(block, ConvPass::kFirstGradient, h200()));
    CHECK_FALSE(has(block, ConvPass::kWeightGradient, as_sm80(h200())));
    CHECK(weight_scratch_bytes(block, h200()) < std::size_t{160} << 20);
  }
}

TEST_CASE("the scratch of a slope's gradient has a place for each block of the form") {
  const VolumeSize half = {1, 80, 96, 112};
  const auto bytes = [&](int channels) {
    const ConvShape shape = {
        .size = half, .first = {.channels = channels, .prelu = true}, .second = {}, .out = channels};
    CHECK(form_text(shape, ConvPass::kFirstGradient, h200()).starts_with("hopper"));
    return slope_scratch_bytes(shape, ConvPass::kFirstGradient, h200());
  };
  CHECK(bytes(16) == std::size_t{132} * 4 * sizeof(float));  // four on a multiprocessor
  CHECK(bytes(32) == std::size_t{132} * 2 * sizeof(float));
}

TEST_CASE("PReLU arrays without a PReLU, and a PReLU without its arrays, are errors") {
  ConvShape shape = {.size = {1, 16, 16, 16}, .first = {16}, .second = {}, .out = 16};
  const std::vector<Bf16> values(16);
  const float slope = 0.25F;
  ConvForward forward;
  forward.first = values.data();
  forward.packed = values.data();
  forward.out = const_cast<Bf16*>(values.data());
  forward.prelu = &slope;
  CHECK_THROWS_AS(conv_forward(shape, forward, h200(), nullptr), BugError);
  forward.prelu = nullptr;
  shape.prelu = true;
  CHECK_THROWS_AS(conv_forward(shape, forward, h200(), nullptr), BugError);
  shape.first.prelu = true;
  ConvInputGradient backward;
  backward.output_gradient = values.data();
  backward.packed = values.data();
  backward.input_gradient = const_cast<Bf16*>(values.data());
  backward.activation = values.data();
  CHECK_THROWS_AS(conv_input_gradient(shape, ConvPass::kFirstGradient, backward, h200(), nullptr), BugError);
}

TEST_CASE("child sums have a voxel more along each axis") {
  const ConvShape shape = {.size = {2, 4, 6, 8}, .first = {32, true}, .second = {2}, .out = 32};
  CHECK(child_sum_bytes(shape) == 2U * 5 * 7 * 9 * 32 * 2);
  CHECK(child_sum_bytes({.size = {2, 4, 6, 8}, .first = {32}, .second = {}, .out = 16}) == 0);
}

}  // namespace regatta::kernels
