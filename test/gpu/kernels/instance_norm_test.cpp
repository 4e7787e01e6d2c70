#include "regatta/kernels/instance_norm.hpp"

#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

struct Values {
  float mean = 0.3F;  ///< of the first channel; further ones have other means
  float deviation = 1.0F;
};

std::vector<Bf16> features(const InstanceNormShape& shape, const Values& values, std::uint64_t seed) {
  std::vector<Bf16> out(static_cast<std::size_t>(shape.size.all() * shape.channels));
  in_parallel(static_cast<std::int64_t>(out.size()), [&](std::int64_t i) {
    const float mean = values.mean * (1.0F + 0.125F * static_cast<float>(i % shape.channels % 5));
    out[static_cast<std::size_t>(i)] = to_bf16(mean + values.deviation * random_value(seed, i));
  });
  return out;
}

constexpr int kOffset = 8;  ///< of the channels within y, where the shape has a pitch

/// Arrays of both passes. In place: the output over the input, the gradients over each other.
struct Layer {
  InstanceNormShape shape;
  Capability chip = capability(0);
  bool in_place;
  std::vector<Bf16> x, gradient;
  DeviceArray<Bf16> in, out, arriving, leaving;
  DeviceArray<float> mean, inverse_deviation;
  DeviceArray<unsigned char> scratch;

  Layer(const InstanceNormShape& of, const Values& values, bool same)
      : shape(of),
        in_place(same),
        x(features(of, values, 1)),
        gradient(features({of.size, of.channels_of_voxel()}, {}, 2)),
        in(x),
        out(gradient.size()),
        arriving(gradient),
        leaving(x.size()),
        mean(static_cast<std::size_t>(of.size.n * of.channels)),
        inverse_deviation(mean.size()),
        scratch(instance_norm_scratch_bytes(of, chip)) {}

  DeviceArray<Bf16>& y() { return in_place ? in : out; }
  DeviceArray<Bf16>& to_input() { return in_place ? arriving : leaving; }

  int offset() const { return shape.output_pitch == 0 ? 0 : kOffset; }

  void queue(Stream stream) {
    instance_norm_forward(shape, {in.get(), y().get() + offset(), mean.get(), inverse_deviation.get(), scratch.get()},
                          chip, stream);
    instance_norm_backward(
        shape,
        {y().get() + offset(), arriving.get() + offset(), inverse_deviation.get(), to_input().get(), scratch.get()},
        chip, stream);
  }

  /// Of y or its gradient: the channels that are the norm's.
  std::vector<Bf16> own(const std::vector<Bf16>& all) const {
    return some_channels(all, shape.channels_of_voxel(), offset(), shape.channels);
  }

  /// The inputs as they were, everything else poisoned.
  void restore() {
    in.set(x);
    arriving.set(gradient);
    scratch.poison();
    mean.poison();
    inverse_deviation.poison();
    out.poison();
    leaving.poison();
  }

  bool margins_hold() const {
    return in.margins_hold() && out.margins_hold() && arriving.margins_hold() && leaving.margins_hold() &&
           mean.margins_hold() && inverse_deviation.margins_hold() && scratch.margins_hold();
  }
};

/// Of few voxels little of a gradient is left, and so more of the rounding of y.
void check_layer(const InstanceNormShape& shape, const Values& values = {}, bool in_place = false) {
  const double most = shape.size.voxels() < 100 ? 2e-2 : 3e-3;
  INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                      << shape.size.w << ", slope " << shape.slope << ", mean " << values.mean << ", in place "
                      << in_place);
  Layer layer(shape, values, in_place);
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.y().values();
  const std::vector<Bf16> to_input = layer.to_input().values();
  const InstanceNormResult expected = instance_norm_reference(shape, layer.x.data());
  CHECK(relative_error(to_doubles(layer.own(out)), expected.out) < 2.2e-3);
  CHECK(relative_error(layer.mean.values(), expected.mean) < 1e-6);
  CHECK(relative_error(layer.inverse_deviation.values(), expected.inverse_deviation) < 2e-6);
  CHECK(relative_error(to_doubles(to_input), instance_norm_gradient_reference(
                                                 shape, layer.x.data(), layer.own(layer.gradient).data())) < most);
  if (shape.output_pitch > 0) {
    const std::vector<Bf16> before = some_channels(out, shape.output_pitch, 0, kOffset);
    CHECK(same_bits(before, std::vector<Bf16>(before.size(), kPoison)));
  }
  CHECK(layer.margins_hold());
  layer.restore();
  layer.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(out, layer.y().values()));
  CHECK(same_bits(to_input, layer.to_input().values()));
}

}  // namespace

TEST_CASE("InstanceNorm agrees with float64 for all counts of channels") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const int channels : {8, 16, 24, 32, 40, 48, 64, 88, 96, 128}) {
    check_layer({{2, 13, 17, 19}, channels, 0.01F});
  }
  check_layer({{1, 10, 12, 14}, 192, 0.2F});
  check_layer({{1, 5, 6, 7}, 384, 0.2F});
  check_layer({{2, 5, 6, 7}, 1024, 0.2F});
  check_layer({{1, 37, 45, 70}, 16, 0.01F});
  check_layer({{1, 37, 45, 70}, 48, 1.0F});
  check_layer({{2, 1, 1, 3}, 16, 0.2F});
}

TEST_CASE("InstanceNorm into some channels of a wider tensor") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layer({{2, 13, 17, 19}, 16, 0.01F, 64});
  check_layer({{1, 37, 45, 70}, 16, 0.01F, 64});
  check_layer({{2, 13, 17, 19}, 48, 0.2F, 56});
  check_layer({{1, 10, 12, 14}, 192, 0.2F, 320});
}

TEST_CASE("InstanceNorm in place") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layer({{2, 13, 17, 19}, 48, 0.2F}, {}, true);
  check_layer({{1, 37, 45, 70}, 16, 0.2F}, {}, true);
}

TEST_CASE("InstanceNorm of features whose mean is large against their deviation") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layer({{1, 37, 45, 70}, 16, 0.2F}, {100.0F, 1.0F});
  check_layer({{2, 13, 17, 19}, 24, 0.2F}, {-3000.0F, 20.0F});
}

TEST_CASE("InstanceNorm of a constant channel is zero") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 13, 17, 19}, 8, 0.2F}, {77.0F, 0.0F}, false);
  layer.queue(nullptr);
  wait_for_gpu();
  for (const Bf16 value : layer.out.values()) {
    REQUIRE(to_float(value) == 0.0F);
  }
  for (const float value : layer.inverse_deviation.values()) {
    CHECK(value == Approx(316.22777F));
  }
}

TEST_CASE("captured InstanceNorm gives the same bytes as uncaptured one") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 13, 17, 19}, 48, 0.2F}, {}, false);
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<Bf16> leaving = layer.leaving.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.restore(); });
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(leaving, layer.leaving.values()));
}

TEST_CASE("InstanceNorm at full-size volumes: eight of the channels") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const InstanceNormShape& shape :
       {InstanceNormShape{{1, 160, 192, 224}, 16, 0.01F}, InstanceNormShape{{1, 80, 96, 112}, 48, 0.01F}}) {
    INFO(shape.channels << " channels");
    constexpr int kFirst = 8;
    Layer layer(shape, {}, false);
    layer.queue(nullptr);
    wait_for_gpu();
    const InstanceNormShape some = {shape.size, 8, shape.slope};
    const auto part = [&](const std::vector<Bf16>& all) { return some_channels(all, shape.channels, kFirst, 8); };
    const std::vector<Bf16> x = part(layer.x);
    const InstanceNormResult expected = instance_norm_reference(some, x.data());
    CHECK(relative_error(to_doubles(part(layer.out.values())), expected.out) < 2.2e-3);
    const std::vector<float> mean = layer.mean.values();
    const std::vector<float> inverse = layer.inverse_deviation.values();
    CHECK(relative_error(std::vector<float>(mean.begin() + kFirst, mean.begin() + kFirst + 8), expected.mean) < 1e-6);
    CHECK(relative_error(std::vector<float>(inverse.begin() + kFirst, inverse.begin() + kFirst + 8),
                         expected.inverse_deviation) < 2e-6);
    CHECK(relative_error(to_doubles(part(layer.leaving.values())),
                         instance_norm_gradient_reference(some, x.data(), part(layer.gradient).data())) < 3e-3);
    CHECK(layer.margins_hold());
  }
}

TEST_CASE("InstanceNorm with weights agrees with float64, and so do their gradients") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const auto check = [](const InstanceNormShape& shape, const Values& values) {
    INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                        << shape.size.w << ", slope " << shape.slope << ", mean " << values.mean);
    Layer layer(shape, values, false);
    const auto channels = static_cast<std::size_t>(shape.channels);
    std::vector<float> weights(2 * channels);
    for (std::size_t c = 0; c < channels; ++c) {
      weights[c] = c % 5 == 3 ? 0.0F : 0.4F + 0.3F * static_cast<float>(c % 4) - (c % 7 == 2 ? 1.5F : 0.0F);
      weights[channels + c] = 0.2F * static_cast<float>(c % 3) - 0.3F;
    }
    const DeviceArray<float> trained(weights);
    DeviceArray<float> to_trained(weights.size());
    const float* bias = trained.get() + channels;
    const auto queue = [&](Stream stream) {
      instance_norm_forward(shape,
                            {layer.in.get(), layer.out.get(), layer.mean.get(), layer.inverse_deviation.get(),
                             layer.scratch.get(), trained.get(), bias},
                            layer.chip, stream);
      instance_norm_backward(
          shape,
          {nullptr, layer.arriving.get(), layer.inverse_deviation.get(), layer.leaving.get(), layer.scratch.get(),
           layer.in.get(), layer.mean.get(), trained.get(), bias, to_trained.get(), to_trained.get() + channels},
          layer.chip, stream);
    };
    queue(nullptr);
    wait_for_gpu();
    const std::vector<Bf16> out = layer.out.values();
    const std::vector<Bf16> to_input = layer.leaving.values();
    const std::vector<float> to_weights = to_trained.values();
    const InstanceNormWeights given = {weights.data(), weights.data() + channels};
    std::vector<double> expected_weights;
    const std::vector<double> expected =
        instance_norm_gradient_reference(shape, layer.x.data(), layer.gradient.data(), given, &expected_weights);
    CHECK(relative_error(to_doubles(out), instance_norm_reference(shape, layer.x.data(), given).out) < 2.2e-3);
    CHECK(relative_error(to_doubles(to_input), expected) < 3e-3);
    CHECK(relative_error(to_weights, expected_weights) < 2e-4);
    CHECK(layer.margins_hold());
    CHECK(to_trained.margins_hold());
    to_trained.poison();
    layer.restore();
    replay(queue, [&] {
      to_trained.poison();
      layer.restore();
    });
    CHECK(same_bits(out, layer.out.values()));
    CHECK(same_bits(to_input, layer.leaving.values()));
    CHECK(same_bits(to_weights, to_trained.values()));
  };
  for (const int channels : {8, 16, 24, 32, 64, 96}) {
    check({{2, 13, 17, 19}, channels, 0.01F, 0, true}, {});
  }
  check({{3, 5, 6, 7}, 1024, 0.2F, 0, true}, {});
  check({{1, 37, 45, 70}, 16, 0.01F, 0, true}, {});
  check({{1, 37, 45, 70}, 32, 0.0F, 0, true}, {});
  check({{1, 37, 45, 70}, 16, 1.0F, 0, true}, {30.0F, 1.0F});
}

TEST_CASE("InstanceNorm refuses what it has no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) Bf16 memory[9];
  float moments[16];
  const InstanceNormShape shape = {{1, 1, 1, 1}, 8, 0.2F};
  CHECK_THROWS_AS(
      instance_norm_forward({shape.size, 12, 0.2F}, {memory, memory, moments, moments + 8, memory}, chip, nullptr),
      BugError);
  CHECK_THROWS_AS(instance_norm_forward(shape, {memory + 1, memory, moments, moments + 8, memory}, chip, nullptr),
                  BugError);
  CHECK_THROWS_AS(instance_norm_forward(shape, {memory, memory, nullptr, moments + 8, memory}, chip, nullptr),
                  BugError);
  CHECK_THROWS_AS(instance_norm_backward(shape, {memory, memory, moments, memory, memory}, chip, nullptr), BugError);
  const InstanceNormShape pitched = {shape.size, 8, 0.2F, 16};
  CHECK_THROWS_AS(instance_norm_forward(pitched, {memory, memory, moments, moments + 8, memory}, chip, nullptr),
                  BugError);
  CHECK_FALSE(has_form(InstanceNormShape{shape.size, 16, 0.2F, 8}, chip));
  CHECK_FALSE(has_form(InstanceNormShape{shape.size, 16, 0.2F, 20}, chip));
  const InstanceNormShape affine = {shape.size, 8, 0.2F, 0, true};
  CHECK_THROWS_AS(instance_norm_forward(affine, {memory, memory, moments, moments + 8, memory}, chip, nullptr),
                  BugError);
  CHECK_THROWS_AS(instance_norm_backward(affine, {nullptr, memory, moments, memory, memory}, chip, nullptr), BugError);
}

}  // namespace regatta::kernels
