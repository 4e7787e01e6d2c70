#include "regatta/kernels/feature_warp.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// Displacements with fractions that are no whole numbers: there the derivative jumps.
std::vector<float> displacements(const VolumeSize& size, float deviation) {
  std::vector<float> values = normal_values(static_cast<std::size_t>(3 * size.all()), 5, deviation);
  for (float& value : values) {
    value = std::floor(value) + 0.05F + 0.9F * (value - std::floor(value));
  }
  return values;
}

struct Layer {
  FeatureWarpShape shape;
  Capability chip = capability(0);
  std::vector<Bf16> x, g;
  std::vector<float> u;
  DeviceArray<Bf16> features, out, output_gradient, to_features;
  DeviceArray<float> flow, to_flow;
  DeviceArray<unsigned char> scratch;

  Layer(const FeatureWarpShape& of, float deviation)
      : shape(of),
        x(random_bf16(of.size.all() * of.channels, 1)),
        g(random_bf16(of.output_size().all() * of.channels, 2)),
        u(displacements(of.size, deviation)),
        features(x),
        out(g.size()),
        output_gradient(g),
        to_features(x.size()),
        flow(u),
        to_flow(u.size()),
        scratch(feature_warp_scratch_bytes(of)) {}

  void queue(Stream stream) {
    feature_warp_forward(shape, {features.get(), flow.get(), out.get()}, chip, stream);
    feature_warp_backward(
        shape, {features.get(), flow.get(), output_gradient.get(), to_features.get(), to_flow.get(), scratch.get()},
        chip, stream);
  }

  void poison() {
    out.poison();
    to_features.poison();
    to_flow.poison();
    scratch.poison();
  }

  bool margins_hold() const {
    return out.margins_hold() && to_features.margins_hold() && to_flow.margins_hold() && scratch.margins_hold();
  }
};

void check_layer(const FeatureWarpShape& shape, float deviation) {
  INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                      << shape.size.w << ", padded " << shape.padded << ", " << deviation << " voxels");
  Layer layer(shape, deviation);
  layer.queue(nullptr);
  wait_for_gpu();
  const auto out = layer.out.values();
  const auto to_features = layer.to_features.values();
  const auto to_flow = layer.to_flow.values();
  const auto expected = feature_warp_reference(shape, layer.x.data(), layer.u.data());
  const auto gradients = feature_warp_gradient_reference(shape, layer.x.data(), layer.u.data(), layer.g.data());
  CHECK(relative_error(to_doubles(out), expected) < 2.2e-3);
  CHECK(relative_error(to_doubles(to_features), gradients.to_features) < 2.2e-3);
  CHECK(relative_error(to_flow, gradients.to_flow) < 5e-6);
  CHECK(layer.margins_hold());
  layer.poison();
  layer.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(to_features, layer.to_features.values()));
  CHECK(same_bits(to_flow, layer.to_flow.values()));
}

}  // namespace

TEST_CASE("warped features and both derivatives agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const bool padded : {false, true}) {
    for (const int channels : {8, 16, 24, 64, 128}) {
      check_layer({{2, 5, 7, 9}, channels, padded}, 1.5F);
    }
    check_layer({{2, 13, 17, 19}, 16, padded}, 0.3F);
    check_layer({{1, 37, 45, 70}, 16, padded}, 5.0F);
    check_layer({{1, 10, 12, 14}, 64, padded}, 2.0F);
    check_layer({{1, 2, 2, 2}, 8, padded}, 1.0F);
  }
}

TEST_CASE("features whose points all lie beyond the border keep their derivative's sum") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layer({{1, 13, 17, 19}, 8, true}, 200.0F);
}

TEST_CASE("a gradient of features that is not finite, or a displacement, is seen") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const bool of_flow : {false, true}) {
    Layer layer({{1, 5, 7, 9}, 8, true}, 1.0F);
    if (of_flow) {
      layer.u[17] = std::numeric_limits<float>::quiet_NaN();
      layer.flow.set(layer.u);
    } else {
      layer.g[400] = to_bf16(std::numeric_limits<float>::infinity());
      layer.output_gradient.set(layer.g);
    }
    layer.queue(nullptr);
    wait_for_gpu();
    std::size_t numbers = 0;
    for (const Bf16 value : layer.to_features.values()) {
      numbers += std::isnan(to_float(value)) ? 0 : 1;
    }
    CHECK(numbers == 0);
    std::size_t nans = 0;
    for (const Bf16 value : layer.out.values()) {
      nans += std::isnan(to_float(value)) ? 1 : 0;
    }
    CHECK((nans > 0) == of_flow);
  }
}

TEST_CASE("captured warps of features give the same bytes as uncaptured ones") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 13, 17, 19}, 16, true}, 1.0F);
  layer.queue(nullptr);
  wait_for_gpu();
  const auto out = layer.out.values();
  const auto to_features = layer.to_features.values();
  const auto to_flow = layer.to_flow.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.poison(); });
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(to_features, layer.to_features.values()));
  CHECK(same_bits(to_flow, layer.to_flow.values()));
}

TEST_CASE("warps of features refuse what they have no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) Bf16 memory[9];
  float number[1];
  const FeatureWarpShape shape = {{1, 2, 2, 2}, 8, true};
  CHECK_THROWS_AS(feature_warp_forward({{1, 1, 2, 2}, 8, true}, {memory, number, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(feature_warp_forward({shape.size, 4, true}, {memory, number, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(feature_warp_forward(shape, {memory + 1, number, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(feature_warp_backward(shape, {memory, number, memory, memory, nullptr, memory}, chip, nullptr),
                  BugError);
}

}  // namespace regatta::kernels
