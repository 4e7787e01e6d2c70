#include "regatta/kernels/conv.hpp"

#include <string>
#include <vector>

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/conv_case.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr ConvPass kPasses[] = {ConvPass::kForward, ConvPass::kFirstGradient, ConvPass::kSecondGradient,
                                ConvPass::kWeightGradient};

/// A block of LKU-Net between others.
ConvShape large(const VolumeSize& size, int channels) {
  return {.size = size,
          .first = {.channels = channels, .prelu = true},
          .second = {},
          .out = channels,
          .edge = 5,
          .identity = true,
          .prelu = true};
}

/// PReLU before and after, except of images and flows.
ConvShape between_prelus(const VolumeSize& size, int first, int second, int out) {
  return {.size = size,
          .first = {.channels = first, .prelu = first > 2},
          .second = {.channels = second, .prelu = second > 2},
          .out = out,
          .prelu = out > 3};
}

/// The layers of VoxelMorph-2, -1, -x2 and of the package's VoxelMorph at half and full resolution, at another
/// size.
std::vector<ConvShape> layers(const VolumeSize& size) {
  const VolumeSize even = {size.n, (size.d + 1) / 2 * 2, (size.h + 1) / 2 * 2, (size.w + 1) / 2 * 2};
  return {
      {.size = size, .first = {2}, .second = {}, .out = 16, .stride = 2},
      {.size = size, .first = {2}, .second = {}, .out = 16},
      {.size = even, .first = {32, true}, .second = {16}, .out = 32},
      {.size = even, .first = {32, true}, .second = {2}, .out = 32},
      {.size = size, .first = {32}, .second = {}, .out = 16},
      {.size = size, .first = {16}, .second = {}, .out = 16},
      {.size = size, .first = {16}, .second = {16}, .out = 16},
      {.size = size, .first = {16}, .second = {}, .out = 3},
      {.size = size, .first = {2}, .second = {}, .out = 8, .stride = 2},
      {.size = even, .first = {32, true}, .second = {8}, .out = 32},
      {.size = size, .first = {32}, .second = {}, .out = 8},
      {.size = size, .first = {8}, .second = {}, .out = 8},
      {.size = size, .first = {8}, .second = {}, .out = 3},
      {.size = size, .first = {2}, .second = {}, .out = 32, .stride = 2},
      {.size = even, .first = {64, true}, .second = {2}, .out = 64},
      {.size = size, .first = {64}, .second = {}, .out = 32},
      {.size = size, .first = {32}, .second = {}, .out = 32},
      {.size = size, .first = {32}, .second = {}, .out = 3},
  };
}

/// The layers of LKU-Net at half and full resolution, large kernels alone, and the head of SYMNet.
std::vector<ConvShape> lkunet_layers(const VolumeSize& size) {
  return {
      large(size, 8),
      large(size, 16),
      large(size, 32),
      {.size = size, .first = {16}, .second = {}, .out = 16, .edge = 5},
      between_prelus(size, 2, 0, 8),
      between_prelus(size, 8, 0, 8),
      between_prelus(size, 16, 16, 32),
      between_prelus(size, 32, 0, 16),
      between_prelus(size, 16, 8, 16),
      between_prelus(size, 16, 0, 16),
      between_prelus(size, 16, 0, 3),
      {.size = size, .first = {16}, .second = {}, .out = 3, .edge = 5},
      {.size = size, .first = {16}, .second = {}, .out = 8, .edge = 5},
  };
}

/// The layers of LKU-Net of 32 channels whose weight gradients go by slices of channels, and those of three and of two
/// channels beside many.
std::vector<ConvShape> wide_layers(const VolumeSize& size) {
  const VolumeSize twice = {size.n, 2 * size.d - 1, 2 * size.h, 2 * size.w - 1};
  const auto strided = [&](int channels, int out) {
    return ConvShape{
        .size = twice, .first = {.channels = channels, .prelu = true}, .second = {}, .out = out, .stride = 2};
  };
  return {
      large(size, 64),
      {.size = {1, 5, 18, 20}, .first = {128}, .second = {}, .out = 192, .edge = 5},
      between_prelus(size, 64, 64, 128),
      between_prelus(size, 128, 0, 64),
      between_prelus(size, 64, 0, 3),
      between_prelus(size, 2, 0, 32),
      between_prelus(size, 32, 0, 32),
      strided(32, 64),
      strided(64, 32),
      strided(32, 32),
      strided(8, 16),
  };
}

/// Inputs and weights are bf16 numbers, sums are float32. What remains is the rounding of bf16 results (1.7e-3), of the
/// child sums, and of float32 sums over many voxels.
double allowed(const ConvShape& shape, ConvPass pass) {
  if (pass == ConvPass::kWeightGradient) {
    return shape.first.upsampled ? 3e-3 : 2e-4;
  }
  if (pass == ConvPass::kForward && shape.out == 3) {
    return 1e-5;
  }
  return pass == ConvPass::kFirstGradient && shape.first.upsampled ? 4e-3 : 2.5e-3;
}

void check_layers(const std::vector<ConvShape>& layers, Sampling sampling, const Capability& chip) {
  std::uint64_t seed = 17;
  for (const ConvShape& shape : layers) {
    ConvCase layer(shape, chip, seed += 10);
    for (const ConvPass pass :
         {ConvPass::kForward, ConvPass::kFirstGradient, ConvPass::kSecondGradient, ConvPass::kWeightGradient}) {
      if (!layer.has(pass)) {
        continue;
      }
      INFO(text_of(shape) << ", pass " << static_cast<int>(pass) << ", form " << form_text(shape, pass, chip));
      CHECK(layer.check(pass, sampling) < allowed(shape, pass));
      CHECK(layer.repeats(pass, [&] {
        layer.queue_child_sums(nullptr);
        layer.queue(pass, nullptr);
      }));
      const bool of_input = pass == ConvPass::kFirstGradient || pass == ConvPass::kSecondGradient;
      if (sampling == Sampling::kAll && of_input &&
          (pass == ConvPass::kFirstGradient ? shape.first : shape.second).prelu) {
        CHECK(layer.slope_deviation(pass) < 1e-4);
      }
      CHECK(layer.margins_hold());
    }
  }
}

}  // namespace

TEST_CASE("convolutions agree with the reference everywhere, two small odd volumes") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers(layers({2, 13, 17, 19}), Sampling::kAll, capability(0));
}

TEST_CASE("VFA's convolutions agree with the reference everywhere, two small odd volumes") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = {2, 13, 17, 19};
  const std::vector<ConvShape> layers = {
      {.size = size, .first = {2}, .second = {}, .out = 8},
      {.size = size, .first = {8}, .second = {}, .out = 16},
      {.size = size, .first = {16}, .second = {}, .out = 8},
      {.size = size, .first = {16}, .second = {}, .out = 32},
  };
  check_layers(layers, Sampling::kAll, capability(0));
  check_layers(layers, Sampling::kAll, as_sm80(capability(0)));
}

TEST_CASE("LKU-Net's convolutions agree with the reference everywhere, two small odd volumes") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers(lkunet_layers({2, 7, 11, 37}), Sampling::kAll, capability(0));
}

TEST_CASE("convolutions agree with the reference at every voxel of a larger odd volume") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers(layers({1, 37, 45, 70}), Sampling::kEveryVoxel, capability(0));
}

TEST_CASE("LKU-Net's convolutions agree with the reference at every voxel of a larger odd volume") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers(lkunet_layers({1, 37, 45, 70}), Sampling::kEveryVoxel, capability(0));
}

TEST_CASE("convolutions of many channels agree with the reference at every voxel of odd volumes") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers(wide_layers({2, 13, 17, 19}), Sampling::kEveryVoxel, capability(0));
  check_layers(wide_layers({1, 21, 37, 45}), Sampling::kSome, capability(0));
  check_layers(wide_layers({1, 19, 22, 18}), Sampling::kSome, as_sm80(capability(0)));
}

TEST_CASE("the forms for compute capability 8.0 agree with the reference") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layers(layers({2, 13, 17, 19}), Sampling::kAll, as_sm80(capability(0)));
  check_layers(lkunet_layers({2, 6, 9, 21}), Sampling::kAll, as_sm80(capability(0)));
}

TEST_CASE("weight gradients of wide inputs, cut into slices, agree with the reference") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize odd = {1, 37, 45, 70};
  for (const Capability& chip : {capability(0), as_sm80(capability(0))}) {
    check_layers({{.size = odd, .first = {144}, .second = {}, .out = 48},
                  {.size = odd, .first = {48}, .second = {}, .out = 48},
                  {.size = {2, 37, 30, 40}, .first = {96}, .second = {}, .out = 96},
                  {.size = odd, .first = {288}, .second = {}, .out = 96},
                  {.size = odd, .first = {80}, .second = {32}, .out = 16}},
                 Sampling::kEveryVoxel, chip);
  }
}

TEST_CASE("captured convolutions give the same bytes as uncaptured ones") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  std::vector<ConvShape> all = layers({1, 20, 24, 28});
  for (const std::vector<ConvShape>& more : {lkunet_layers({1, 20, 24, 28}), wide_layers({1, 20, 24, 28})}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  for (const ConvShape& shape : all) {
    ConvCase layer(shape, chip, 5);
    for (const ConvPass pass : kPasses) {
      if (!layer.has(pass)) {
        continue;
      }
      layer.check(pass, Sampling::kSome);
      const CapturedWork in_graph([&](Stream stream) {
        layer.pack(pass, stream);
        layer.queue_child_sums(stream);
        layer.queue(pass, stream);
      });
      INFO(text_of(shape) << ", pass " << static_cast<int>(pass));
      CHECK(layer.repeats(pass, [&] { in_graph.run(); }));
    }
  }
}

}  // namespace regatta::kernels
