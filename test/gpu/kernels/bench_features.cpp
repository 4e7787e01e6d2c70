#include <string>
#include <vector>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/activation.hpp"
#include "regatta/kernels/average_pool.hpp"
#include "regatta/kernels/instance_norm.hpp"
#include "regatta/kernels/max_pool.hpp"
#include "regatta/kernels/upsample.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kHalf = {1, 80, 96, 112};
constexpr VolumeSize kQuarter = {1, 40, 48, 56};
constexpr VolumeSize kSixteenth = {1, 10, 12, 14};

std::string text(const VolumeSize& size) {
  return std::to_string(size.d) + "x" + std::to_string(size.h) + "x" + std::to_string(size.w);
}

/// Floors: forward reads the input twice and writes once, backward reads two arrays twice and writes once.
void bench_instance_norm(Bench& bench, const VolumeSize& size, int channels) {
  const InstanceNormShape shape = {size, channels, 0.2F};
  const std::int64_t count = size.all() * channels;
  const double bytes = 2.0 * static_cast<double>(count);
  const DeviceArray<Bf16> in(random_bf16(count, 1));
  const DeviceArray<Bf16> arriving(random_bf16(count, 2));
  DeviceArray<Bf16> out(in.size());
  DeviceArray<Bf16> leaving(in.size());
  DeviceArray<float> mean(static_cast<std::size_t>(channels));
  DeviceArray<float> inverse_deviation(static_cast<std::size_t>(channels));
  DeviceArray<unsigned char> scratch(instance_norm_scratch_bytes(shape, bench.chip()));
  const std::string form = std::to_string(channels) + " channels";
  bench.time({"instance_norm_forward", text(size), form, 3.0 * bytes}, [&](Stream stream) {
    instance_norm_forward(shape, {in.get(), out.get(), mean.get(), inverse_deviation.get(), scratch.get()},
                          bench.chip(), stream);
  });
  bench.time({"instance_norm_backward", text(size), form, 5.0 * bytes}, [&](Stream stream) {
    instance_norm_backward(shape, {out.get(), arriving.get(), inverse_deviation.get(), leaving.get(), scratch.get()},
                           bench.chip(), stream);
  });
}

void bench_activation(Bench& bench, const VolumeSize& size, int channels) {
  const ActivationShape shape = {size.all(), channels};
  const double bytes = 2.0 * static_cast<double>(shape.elements());
  const DeviceArray<Bf16> in(random_bf16(shape.elements(), 1));
  DeviceArray<Bf16> before(in.size());
  DeviceArray<Bf16> out(in.size());
  const DeviceArray<float> slope(std::vector<float>(1, 0.2F));
  DeviceArray<float> slope_gradient(1);
  DeviceArray<float> sums(static_cast<std::size_t>(channels));
  DeviceArray<unsigned char> scratch(activation_scratch_bytes(shape, bench.chip()));
  const std::string form = std::to_string(channels) + " channels";
  bench.time({"activate", text(size), form, 3.0 * bytes}, [&](Stream stream) {
    ActivationForward arrays;
    arrays.product = in.get();
    arrays.biases = {sums.get(), nullptr, nullptr};
    arrays.prelu = slope.get();
    arrays.before = before.get();
    arrays.out = out.get();
    activate(shape, arrays, bench.chip(), stream);
  });
  bench.time({"activation_gradient", text(size), form, 3.0 * bytes}, [&](Stream stream) {
    ActivationGradient arrays;
    arrays.gradient = in.get();
    arrays.before = before.get();
    arrays.prelu = slope.get();
    arrays.before_gradient = out.get();
    arrays.slope_gradient = slope_gradient.get();
    arrays.scratch = scratch.get();
    activation_gradient(shape, arrays, bench.chip(), stream);
  });
  bench.time({"channel_sums", text(size), form, bytes}, [&](Stream stream) {
    channel_sums(shape, in.get(), {sums.get(), nullptr, nullptr}, scratch.get(), bench.chip(), stream);
  });
}

void bench_upsample(Bench& bench, const VolumeSize& size, int channels, bool align_corners = false) {
  const UpsampleShape shape = {size, channels, align_corners};
  const std::int64_t count = size.all() * channels;
  const double bytes = 18.0 * static_cast<double>(count);
  const DeviceArray<Bf16> in(random_bf16(count, 1));
  const DeviceArray<Bf16> arriving(random_bf16(8 * count, 2));
  DeviceArray<Bf16> out(arriving.size());
  DeviceArray<Bf16> leaving(in.size());
  const std::string form = std::to_string(channels) + (align_corners ? " channels, aligned" : " channels");
  bench.time({"upsample_forward", text(size), form, bytes}, [&](Stream stream) {
    upsample_forward(shape, {in.get(), out.get()}, bench.chip(), stream);
  });
  bench.time({"upsample_backward", text(size), form, bytes}, [&](Stream stream) {
    upsample_backward(shape, {arriving.get(), leaving.get()}, bench.chip(), stream);
  });
}

void bench_max_pool(Bench& bench, const VolumeSize& size, int channels) {
  const MaxPoolShape shape = {size, channels};
  const std::int64_t count = size.all() * channels;
  const double bytes = 2.0 * static_cast<double>(count);
  const DeviceArray<Bf16> in(random_bf16(count, 1));
  const DeviceArray<Bf16> arriving(random_bf16(count / 8, 2));
  DeviceArray<Bf16> out(arriving.size());
  DeviceArray<Bf16> leaving(random_bf16(count, 3));
  const std::string form = std::to_string(channels) + " channels";
  bench.time({"max_pool_forward", text(size), form, 1.125 * bytes}, [&](Stream stream) {
    max_pool_forward(shape, {in.get(), out.get()}, bench.chip(), stream);
  });
  bench.time({"max_pool_backward", text(size), form, 2.125 * bytes}, [&](Stream stream) {
    max_pool_backward(shape, {in.get(), arriving.get(), 0.2F, nullptr, leaving.get()}, bench.chip(), stream);
  });
  bench.time({"max_pool_backward", text(size), form + ", added", 3.125 * bytes}, [&](Stream stream) {
    max_pool_backward(shape, {in.get(), arriving.get(), 0.2F, leaving.get(), leaving.get()}, bench.chip(), stream);
  });
}

}  // namespace

void bench_features(Bench& bench) {
  bench_activation(bench, kFullSize, 32);
  bench_activation(bench, kHalf, 64);
  bench_activation(bench, kQuarter, 128);
  bench_instance_norm(bench, kFullSize, 16);
  bench_instance_norm(bench, kFullSize, 48);
  bench_instance_norm(bench, kHalf, 48);
  bench_instance_norm(bench, kHalf, 96);
  bench_instance_norm(bench, kQuarter, 96);
  bench_instance_norm(bench, kSixteenth, 384);
  bench_upsample(bench, kHalf, 48);
  bench_upsample(bench, kQuarter, 96);
  bench_upsample(bench, kHalf, 16);
  bench_upsample(bench, kHalf, 16, true);
  bench_upsample(bench, kQuarter, 16, true);
  bench_upsample(bench, kSixteenth, 384);
  bench_max_pool(bench, kFullSize, 16);
  bench_max_pool(bench, kHalf, 32);
  const DeviceArray<Bf16> pair(random_bf16(2 * kFullSize.all(), 1));
  DeviceArray<Bf16> out(static_cast<std::size_t>(2 * average_pool_size(kFullSize).all()));
  bench.time({"average_pool_forward", text(kFullSize), "pair", 4.5 * static_cast<double>(kFullSize.all())},
             [&](Stream stream) { average_pool_forward(kFullSize, pair.get(), out.get(), stream); });
}

}  // namespace regatta::kernels
