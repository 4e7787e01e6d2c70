#include <string>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/kernels/gelu.hpp"
#include "regatta/kernels/layer_norm.hpp"

namespace regatta::kernels {
namespace {

std::string text(const VolumeSize& size, int channels) {
  return std::to_string(size.d) + "x" + std::to_string(size.h) + "x" + std::to_string(size.w) + "x" +
         std::to_string(channels);
}

void bench_layer_norm(Bench& bench, const LayerNormShape& shape) {
  const auto count = static_cast<std::size_t>(shape.values());
  const auto row = static_cast<std::size_t>(shape.row_channels());
  const auto values = static_cast<double>(count);
  const DeviceArray<float> stream(normal_values(count, 1));
  const DeviceArray<float> channels(uniform_values(row, 2, 0.5F, 1.5F));
  const DeviceArray<float> sum_gradient(normal_values(count, 3));
  const DeviceArray<Bf16> halves(random_bf16(shape.values(), 4));
  DeviceArray<float> sum(count);
  DeviceArray<float> to_sum(count);
  DeviceArray<float> mean(static_cast<std::size_t>(shape.rows()));
  DeviceArray<float> inverse(mean.size());
  DeviceArray<float> sums(3 * row);
  DeviceArray<Bf16> out(count);
  DeviceArray<Bf16> to_branch(count);
  DeviceArray<unsigned char> scratch(layer_norm_scratch_bytes(shape, bench.chip()));
  LayerNormForward forward;
  LayerNormBackward backward;
  forward.stream = stream.get();
  forward.weight = forward.shift = backward.weight = channels.get();
  forward.out = out.get();
  forward.mean = mean.get();
  forward.inverse_deviation = inverse.get();
  backward.sum = stream.get();
  if (!shape.merge) {
    forward.branch = halves.get();
    forward.bias = channels.get();
    forward.sum = sum.get();
    backward.sum = sum.get();
    backward.sum_gradient = sum_gradient.get();
    backward.to_branch = to_branch.get();
    backward.to_bias = sums.get() + 2 * row;
  }
  backward.mean = mean.get();
  backward.inverse_deviation = inverse.get();
  backward.out_gradient = halves.get();
  backward.to_sum = to_sum.get();
  backward.to_weight = sums.get();
  backward.to_shift = sums.get() + row;
  backward.scratch = scratch.get();
  const std::string form = shape.merge ? "merging" : "with a branch";
  bench.time({"layer_norm_forward", text(shape.size, shape.channels), form, (shape.merge ? 6.0 : 12.0) * values},
             [&](Stream queue) { layer_norm_forward(shape, forward, bench.chip(), queue); });
  bench.time({"layer_norm_backward", text(shape.size, shape.channels), form, (shape.merge ? 10.0 : 16.0) * values},
             [&](Stream queue) { layer_norm_backward(shape, backward, bench.chip(), queue); });
}

void bench_gelu(Bench& bench, const VolumeSize& size, int channels) {
  const GeluShape shape = {size.all(), channels};
  const std::int64_t count = shape.rows * channels;
  const DeviceArray<Bf16> in(random_bf16(count, 1));
  const DeviceArray<Bf16> arriving(random_bf16(count, 2));
  const DeviceArray<float> bias(normal_values(static_cast<std::size_t>(channels), 3));
  DeviceArray<Bf16> out(in.size());
  DeviceArray<float> to_bias(bias.size());
  DeviceArray<unsigned char> scratch(gelu_scratch_bytes(shape, bench.chip()));
  const double bytes = 2.0 * static_cast<double>(count);
  bench.time({"gelu_forward", text(size, channels), "with bias", 2.0 * bytes}, [&](Stream stream) {
    gelu_forward(shape, {in.get(), bias.get(), out.get()}, bench.chip(), stream);
  });
  bench.time({"gelu_backward", text(size, channels), "with bias", 3.0 * bytes}, [&](Stream stream) {
    gelu_backward(shape, {in.get(), bias.get(), arriving.get(), out.get(), to_bias.get(), scratch.get()}, bench.chip(),
                  stream);
  });
}

}  // namespace

void bench_tokens(Bench& bench) {
  constexpr VolumeSize kStages[] = {{1, 40, 48, 56}, {1, 20, 24, 28}, {1, 10, 12, 14}, {1, 5, 6, 7}};
  int channels = 96;
  for (const VolumeSize& size : kStages) {
    bench_layer_norm(bench, {size, channels});
    if (size.d % 2 == 0) {
      bench_layer_norm(bench, {size, channels, true});
    }
    bench_gelu(bench, size, 4 * channels);
    channels *= 2;
  }
}

}  // namespace regatta::kernels
