#include <string>

#include "gpu/kernels/bench.hpp"
#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/feature_warp.hpp"
#include "regatta/kernels/instance_norm.hpp"
#include "regatta/kernels/mean_pool.hpp"
#include "regatta/kernels/neighbourhood_attention.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kHalf = {1, 80, 96, 112};
constexpr VolumeSize kQuarter = {1, 40, 48, 56};
constexpr VolumeSize kEighth = {1, 20, 24, 28};
constexpr VolumeSize kSixteenth = {1, 10, 12, 14};

std::string text(const VolumeSize& size) {
  return std::to_string(size.d) + "x" + std::to_string(size.h) + "x" + std::to_string(size.w);
}

std::string channels_text(int channels) {
  return std::to_string(channels) + " channels";
}

/// Floors: queries, keys and field once each way, backward the gradients of queries and keys, too.
void bench_neighbourhood(Bench& bench, const VolumeSize& size, int channels) {
  const NeighbourhoodShape shape = {size, channels, true};
  const std::int64_t count = size.all() * channels;
  const DeviceArray<Bf16> query(random_bf16(count, 1));
  const DeviceArray<Bf16> key(random_bf16(shape.key_size().all() * channels, 2));
  DeviceArray<Bf16> to_query(query.size());
  DeviceArray<Bf16> to_key(key.size());
  const DeviceArray<float> factor(std::vector<float>{0.1F});
  DeviceArray<float> to_factor(1);
  DeviceArray<float> field(normal_values(static_cast<std::size_t>(3 * size.all()), 3));
  DeviceArray<unsigned char> scratch(neighbourhood_scratch_bytes(shape));
  const double features = 2.0 * static_cast<double>(query.size() + key.size());
  const double of_field = 12.0 * static_cast<double>(size.all());
  bench.time({"neighbourhood_forward", text(size), channels_text(channels), features + of_field}, [&](Stream stream) {
    neighbourhood_forward(shape, {query.get(), key.get(), factor.get(), field.get()}, bench.chip(), stream);
  });
  bench.time({"neighbourhood_backward", text(size), channels_text(channels), 2.0 * features + of_field},
             [&](Stream stream) {
               neighbourhood_backward(shape,
                                      {query.get(), key.get(), factor.get(), field.get(), to_query.get(), to_key.get(),
                                       to_factor.get(), scratch.get()},
                                      bench.chip(), stream);
             });
}

/// A smooth field of some voxels.
std::vector<float> smooth_field(const VolumeSize& size) {
  std::vector<float> field(static_cast<std::size_t>(3 * size.all()));
  in_parallel(static_cast<std::int64_t>(field.size()), [&](std::int64_t i) {
    const double d = static_cast<double>(i / size.plane() % size.d);
    const double h = static_cast<double>(i / size.w % size.h);
    const double w = static_cast<double>(i % size.w);
    field[static_cast<std::size_t>(i)] =
        static_cast<float>(3.0 * std::sin(0.031 * d + 0.047 * h + 0.023 * w + static_cast<double>(i / size.voxels())));
  });
  return field;
}

/// Floors: features, flow and result once each way.
void bench_feature_warp(Bench& bench, const VolumeSize& size, int channels) {
  const FeatureWarpShape shape = {size, channels, true};
  const std::int64_t count = size.all() * channels;
  const DeviceArray<Bf16> features(random_bf16(count, 1));
  const DeviceArray<float> flow(smooth_field(size));
  DeviceArray<Bf16> out(random_bf16(shape.output_size().all() * channels, 2));
  DeviceArray<Bf16> to_features(features.size());
  DeviceArray<float> to_flow(flow.size());
  DeviceArray<unsigned char> scratch(feature_warp_scratch_bytes(shape));
  const double of_features = 2.0 * static_cast<double>(features.size());
  const double of_out = 2.0 * static_cast<double>(out.size());
  const double of_field = 12.0 * static_cast<double>(size.all());
  bench.time({"feature_warp_forward", text(size), channels_text(channels), of_features + of_out + of_field},
             [&](Stream stream) {
               feature_warp_forward(shape, {features.get(), flow.get(), out.get()}, bench.chip(), stream);
             });
  bench.time(
      {"feature_warp_backward", text(size), channels_text(channels), 2.0 * of_features + of_out + 2.0 * of_field},
      [&](Stream stream) {
        feature_warp_backward(shape,
                              {features.get(), flow.get(), out.get(), to_features.get(), to_flow.get(), scratch.get()},
                              bench.chip(), stream);
      });
}

void bench_affine_norm(Bench& bench, const VolumeSize& size, int channels) {
  const InstanceNormShape shape = {size, channels, 0.01F, 0, true};
  const std::int64_t count = size.all() * channels;
  const double bytes = 2.0 * static_cast<double>(count);
  const DeviceArray<Bf16> in(random_bf16(count, 1));
  const DeviceArray<Bf16> arriving(random_bf16(count, 2));
  DeviceArray<Bf16> out(in.size());
  DeviceArray<float> moments(static_cast<std::size_t>(2 * size.n * channels));
  const DeviceArray<float> weights(uniform_values(static_cast<std::size_t>(2 * channels), 4, 0.5F, 1.5F));
  DeviceArray<float> to_weights(weights.size());
  DeviceArray<unsigned char> scratch(instance_norm_scratch_bytes(shape, bench.chip()));
  float* inverse = moments.get() + size.n * channels;
  const float* bias = weights.get() + channels;
  bench.time(
      {"instance_norm_forward", text(size), channels_text(channels) + ", affine", 3.0 * bytes}, [&](Stream stream) {
        instance_norm_forward(shape, {in.get(), out.get(), moments.get(), inverse, scratch.get(), weights.get(), bias},
                              bench.chip(), stream);
      });
  bench.time(
      {"instance_norm_backward", text(size), channels_text(channels) + ", affine", 5.0 * bytes}, [&](Stream stream) {
        instance_norm_backward(shape,
                               {nullptr, arriving.get(), inverse, out.get(), scratch.get(), in.get(), moments.get(),
                                weights.get(), bias, to_weights.get(), to_weights.get() + channels},
                               bench.chip(), stream);
      });
}

void bench_mean_pool(Bench& bench, const VolumeSize& size, int channels) {
  const MeanPoolShape shape = {size, channels};
  const std::int64_t count = size.all() * channels;
  DeviceArray<Bf16> in(random_bf16(count, 1));
  DeviceArray<Bf16> out(random_bf16(shape.output_size().all() * channels, 2));
  const double bytes = 2.25 * static_cast<double>(count);
  bench.time({"mean_pool_forward", text(size), channels_text(channels), bytes},
             [&](Stream stream) { mean_pool_forward(shape, in.get(), out.get(), bench.chip(), stream); });
  bench.time({"mean_pool_backward", text(size), channels_text(channels), bytes},
             [&](Stream stream) { mean_pool_backward(shape, out.get(), in.get(), bench.chip(), stream); });
}

}  // namespace

void bench_matching(Bench& bench) {
  bench_neighbourhood(bench, kFullSize, 8);
  bench_neighbourhood(bench, kHalf, 16);
  bench_neighbourhood(bench, kQuarter, 32);
  bench_neighbourhood(bench, kEighth, 64);
  bench_neighbourhood(bench, kSixteenth, 64);
  bench_feature_warp(bench, kFullSize, 16);
  bench_feature_warp(bench, kHalf, 32);
  bench_feature_warp(bench, kQuarter, 64);
  bench_feature_warp(bench, kEighth, 64);
  bench_affine_norm(bench, kFullSize, 16);
  bench_affine_norm(bench, kHalf, 32);
  bench_mean_pool(bench, kFullSize, 16);
}

}  // namespace regatta::kernels
