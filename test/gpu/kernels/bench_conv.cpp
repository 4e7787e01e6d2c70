#include <string>
#include <utility>
#include <vector>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/conv_case.hpp"
#include "gpu/kernels/up_conv_case.hpp"
#include "regatta/base/text.hpp"

namespace regatta::kernels {
namespace {

constexpr const char* kPasses[] = {"forward", "first gradient", "second gradient", "weight gradient"};

void bench_layer(Bench& bench, const ConvShape& shape, const Capability& chip, const std::string& suffix) {
  ConvCase layer(shape, chip, 3);
  const std::string size = str(shape.size.d, "x", shape.size.h, "x", shape.size.w);
  if (shape.first.upsampled) {
    layer.queue_child_sums(nullptr);
    const double bytes = 4.0 * static_cast<double>(shape.size.all()) * shape.out;
    bench.time({"child sums " + text_of(shape), size, "sums", bytes},
               [&](Stream stream) { layer.queue_child_sums(stream); });
  }
  for (const ConvPass pass :
       {ConvPass::kForward, ConvPass::kFirstGradient, ConvPass::kSecondGradient, ConvPass::kWeightGradient}) {
    if (!layer.has(pass)) {
      continue;
    }
    const double error = layer.check(pass, Sampling::kSome);
    bench.time({str(text_of(shape), " ", kPasses[static_cast<int>(pass)]), size, form_text(shape, pass, chip) + suffix,
                layer.bytes(pass), layer.operations(pass), error},
               [&](Stream stream) { layer.queue(pass, stream); });
  }
}

void bench_up_conv(Bench& bench, const UpConvShape& shape) {
  UpConvCase layer(shape, bench.chip(), 3);
  const VolumeSize size = shape.output_size();
  for (const UpConvPass pass : {UpConvPass::kForward, UpConvPass::kInputGradient, UpConvPass::kWeightGradient}) {
    const double error = layer.check(pass, false);
    const char* name = kPasses[pass == UpConvPass::kWeightGradient ? 3 : static_cast<int>(pass)];
    bench.time({str("transposed ", shape.channels, shape.prelu ? " PReLU " : " ", name),
                str(size.d, "x", size.h, "x", size.w), "up_conv", layer.bytes(pass), 0.0, error},
               [&](Stream stream) { layer.queue(pass, stream); });
  }
}

}  // namespace

/// The layers at half and full resolution.
void bench_conv(Bench& bench) {
  const VolumeSize full = {1, 160, 192, 224};
  const VolumeSize half = {1, 80, 96, 112};
  const std::vector<ConvShape> layers = {
      {.size = full, .first = {2}, .second = {}, .out = 16, .stride = 2},
      {.size = half, .first = {32, true}, .second = {16}, .out = 32},
      {.size = full, .first = {32, true}, .second = {2}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 16},
      {.size = full, .first = {16}, .second = {}, .out = 16},
      {.size = full, .first = {16}, .second = {}, .out = 3},
      // VoxelMorph-1's that differ
      {.size = full, .first = {2}, .second = {}, .out = 8, .stride = 2},
      {.size = half, .first = {32, true}, .second = {8}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 8},
      {.size = full, .first = {8}, .second = {}, .out = 8},
      {.size = full, .first = {8}, .second = {}, .out = 3},
      // VoxelMorph-x2's that differ
      {.size = full, .first = {2}, .second = {}, .out = 32, .stride = 2},
      {.size = full, .first = {64, true}, .second = {2}, .out = 64},
      {.size = full, .first = {64}, .second = {}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 32},
      {.size = full, .first = {32}, .second = {}, .out = 3},
      // TransMorph's and TransMorph-small's
      {.size = full, .first = {64}, .second = {}, .out = 16},
      {.size = half, .first = {144}, .second = {}, .out = 48},
      {.size = half, .first = {48}, .second = {}, .out = 48},
      {.size = {1, 40, 48, 56}, .first = {288}, .second = {}, .out = 96},
      {.size = {1, 40, 48, 56}, .first = {96}, .second = {}, .out = 96},
      {.size = {1, 40, 48, 56}, .first = {144}, .second = {}, .out = 48},
      // voxelmorph-pairwise's that differs
      {.size = full, .first = {16}, .second = {16}, .out = 16},
  };
  for (const ConvShape& shape : layers) {
    bench_layer(bench, shape, bench.chip(), "");
  }
  for (std::size_t i = 1; i < 6; ++i) {  // an A100's forms of VoxelMorph-2
    bench_layer(bench, layers[i], as_sm80(bench.chip()), ", 8.0");
  }
  ConvCase packed(layers[2], bench.chip(), 5);
  bench.time({"pack 32 up + 2 -> 32", "-", "pack", 1.0},
             [&](Stream stream) { packed.pack(ConvPass::kForward, stream); });
}

/// The layers of LKU-Net at half and full resolution, its large kernels, its transposed convolutions, SYMNet's head.
void bench_lkunet(Bench& bench) {
  const VolumeSize full = {1, 160, 192, 224};
  const VolumeSize half = {1, 80, 96, 112};
  const VolumeSize quarter = {1, 40, 48, 56};
  const VolumeSize eighth = {1, 20, 24, 28};
  const VolumeSize sixteenth = {1, 10, 12, 14};
  for (const auto& [size, channels] :
       {std::pair(full, 8), std::pair(half, 16), std::pair(quarter, 32), std::pair(half, 64), std::pair(quarter, 128),
        std::pair(eighth, 256), std::pair(sixteenth, 256)}) {
    const ConvShape large = {.size = size,
                             .first = {.channels = channels, .prelu = true},
                             .second = {},
                             .out = channels,
                             .edge = 5,
                             .identity = true,
                             .prelu = true};
    bench_layer(bench, large, bench.chip(), "");
    bench_layer(bench, large, as_sm80(bench.chip()), ", 8.0");
  }
  bench_layer(bench, {.size = full, .first = {16}, .second = {}, .out = 3, .edge = 5}, bench.chip(), "");
  const auto between_prelus = [](const VolumeSize& size, int first, int second, int out) {
    return ConvShape{.size = size,
                     .first = {.channels = first, .prelu = first > 2},
                     .second = {.channels = second, .prelu = second > 2},
                     .out = out,
                     .prelu = out > 3};
  };
  bench_layer(bench, between_prelus(full, 2, 0, 8), bench.chip(), "");
  bench_layer(bench, between_prelus(full, 8, 0, 8), bench.chip(), "");
  bench_layer(bench, between_prelus(half, 16, 16, 32), bench.chip(), "");
  bench_layer(bench, between_prelus(half, 32, 0, 16), bench.chip(), "");
  bench_layer(bench, between_prelus(full, 16, 8, 16), bench.chip(), "");
  bench_layer(bench, between_prelus(full, 16, 0, 16), bench.chip(), "");
  bench_layer(bench, between_prelus(full, 16, 0, 3), bench.chip(), "");
  // of 32 channels, with a head at half resolution
  bench_layer(bench, between_prelus(full, 2, 0, 32), bench.chip(), "");
  bench_layer(bench, between_prelus(full, 32, 0, 32), bench.chip(), "");
  bench_layer(bench, between_prelus(half, 64, 64, 128), bench.chip(), "");
  bench_layer(bench, between_prelus(half, 128, 0, 64), bench.chip(), "");
  bench_layer(bench, between_prelus(half, 64, 0, 3), bench.chip(), "");
  for (const auto& [size, channels] :
       {std::pair(full, 8), std::pair(half, 16), std::pair(full, 32), std::pair(half, 64)}) {
    const ConvShape strided = {.size = size,
                               .first = {.channels = channels, .prelu = true},
                               .second = {},
                               .out = 2 * channels,
                               .stride = 2,
                               .prelu = true};
    bench_layer(bench, strided, bench.chip(), "");
  }
  bench_up_conv(bench, {half, 16, true, true});
  bench_up_conv(bench, {quarter, 16, true, true});
  bench_up_conv(bench, {eighth, 32, true, true});
}

}  // namespace regatta::kernels
