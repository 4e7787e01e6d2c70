#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "gpu/kernels/random_values.hpp"
#include "regatta/base/error.hpp"
#include "regatta/kernels/gelu.hpp"
#include "regatta/kernels/layer_norm.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<double> doubles_of(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// What a layer has beside its norm.
struct Choice {
  bool stream = true;
  bool branch = true;  ///< with bias and factors
  bool wide = false;   ///< float32 out
  bool more = true;    ///< something else reads the sum
  float mean = 0.3F;
};

/// Arrays of both passes.
struct Layer {
  LayerNormShape shape;
  Choice choice;
  Capability chip = capability(0);
  std::size_t count, row;
  std::vector<float> stream, bias, factors, weight, shift, sum_gradient, wide_gradient;
  std::vector<Bf16> branch, gradient;
  DeviceArray<float> d_stream, d_bias, d_factors, d_weight, d_shift, d_sum_gradient, d_wide_gradient;
  DeviceArray<Bf16> d_branch, d_gradient;
  DeviceArray<float> sum, wide_out, mean, inverse, to_sum, to_weight, to_shift, to_bias;
  DeviceArray<Bf16> out, to_branch;
  DeviceArray<unsigned char> scratch;

  Layer(const LayerNormShape& of, const Choice& chosen)
      : shape(of),
        choice(chosen),
        count(static_cast<std::size_t>(of.values())),
        row(static_cast<std::size_t>(of.row_channels())),
        stream(normal_values(count, 1)),
        bias(normal_values(row, 2)),
        factors(static_cast<std::size_t>(of.size.n), 1.25F),
        weight(uniform_values(row, 3, 0.5F, 1.5F)),
        shift(normal_values(row, 4)),
        sum_gradient(normal_values(count, 5)),
        wide_gradient(normal_values(count, 6)),
        branch(random_bf16(of.values(), 7)),
        gradient(random_bf16(of.values(), 8)),
        d_stream(shifted(stream, chosen.mean)),
        d_bias(bias),
        d_factors(dropped(factors)),
        d_weight(weight),
        d_shift(shift),
        d_sum_gradient(sum_gradient),
        d_wide_gradient(wide_gradient),
        d_branch(branch),
        d_gradient(gradient),
        sum(count),
        wide_out(count),
        mean(static_cast<std::size_t>(of.rows())),
        inverse(mean.size()),
        to_sum(count),
        to_weight(row),
        to_shift(row),
        to_bias(row),
        out(count),
        to_branch(count),
        scratch(layer_norm_scratch_bytes(of, chip)) {}

  static std::vector<float>& shifted(std::vector<float>& values, float mean) {
    for (float& value : values) {
      value += mean;
    }
    return values;
  }

  /// The last sample's branch is dropped.
  static std::vector<float>& dropped(std::vector<float>& values) {
    values.back() = values.size() > 1 ? 0.0F : values.back();
    return values;
  }

  void queue(Stream queue_stream) {
    LayerNormForward forward;
    LayerNormBackward backward;
    forward.stream = choice.stream ? d_stream.get() : nullptr;
    if (choice.branch) {
      forward.branch = d_branch.get();
      forward.bias = d_bias.get();
      forward.factors = backward.factors = d_factors.get();
      forward.sum = sum.get();
      backward.to_branch = to_branch.get();
      backward.to_bias = to_bias.get();
    }
    forward.weight = backward.weight = d_weight.get();
    forward.shift = d_shift.get();
    forward.wide_out = choice.wide ? wide_out.get() : nullptr;
    forward.out = choice.wide ? nullptr : out.get();
    forward.mean = mean.get();
    forward.inverse_deviation = inverse.get();
    layer_norm_forward(shape, forward, chip, queue_stream);
    backward.sum = choice.branch ? sum.get() : d_stream.get();
    backward.mean = mean.get();
    backward.inverse_deviation = inverse.get();
    backward.out_gradient = choice.wide ? nullptr : d_gradient.get();
    backward.wide_out_gradient = choice.wide ? d_wide_gradient.get() : nullptr;
    backward.sum_gradient = choice.more ? d_sum_gradient.get() : nullptr;
    backward.to_sum = to_sum.get();
    backward.to_weight = to_weight.get();
    backward.to_shift = to_shift.get();
    backward.scratch = scratch.get();
    layer_norm_backward(shape, backward, chip, queue_stream);
  }

  LayerNormInputs inputs() const {
    LayerNormInputs all;
    all.stream = choice.stream ? doubles_of(stream) : std::vector<double>();
    if (choice.branch) {
      all.branch = to_doubles(branch);
      all.bias = doubles_of(bias);
      all.factors = doubles_of(factors);
    }
    all.weight = doubles_of(weight);
    all.shift = doubles_of(shift);
    return all;
  }

  void poison() {
    for (DeviceArray<float>* array : {&sum, &wide_out, &mean, &inverse, &to_sum, &to_weight, &to_shift, &to_bias}) {
      array->poison();
    }
    out.poison();
    to_branch.poison();
    scratch.poison();
  }

  bool margins_hold() const {
    bool hold = out.margins_hold() && to_branch.margins_hold() && scratch.margins_hold();
    for (const DeviceArray<float>* array :
         {&sum, &wide_out, &mean, &inverse, &to_sum, &to_weight, &to_shift, &to_bias}) {
      hold = hold && array->margins_hold();
    }
    return hold;
  }
};

void check_layer(const LayerNormShape& shape, const Choice& choice = {}) {
  INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                      << shape.size.w << ", merged " << shape.merge << ", branch " << choice.branch << ", stream "
                      << choice.stream << ", wide " << choice.wide << ", mean " << choice.mean);
  Layer layer(shape, choice);
  layer.queue(nullptr);
  wait_for_gpu();
  const LayerNormInputs inputs = layer.inputs();
  const LayerNormResult expected = layer_norm_reference(shape, inputs);
  const LayerNormGradients gradients = layer_norm_gradient_reference(
      shape, inputs, choice.wide ? doubles_of(layer.wide_gradient) : to_doubles(layer.gradient),
      choice.more ? doubles_of(layer.sum_gradient) : std::vector<double>());
  const double scale = choice.mean > 10.0F ? 10.0 : 1.0;  // float32 tokens of mean 100 are rounded to 4e-6
  if (choice.wide) {
    CHECK(relative_error(layer.wide_out.values(), expected.out) < 1e-6 * scale);
  } else {
    CHECK(relative_error(to_doubles(layer.out.values()), expected.out) < 2.2e-3);
  }
  CHECK(relative_error(layer.to_sum.values(), gradients.to_sum) < 1e-6 * scale);
  CHECK(relative_error(layer.to_weight.values(), gradients.to_weight) < 2e-6 * scale);
  CHECK(relative_error(layer.to_shift.values(), gradients.to_shift) < 2e-6 * scale);
  if (choice.branch) {
    CHECK(relative_error(layer.sum.values(), expected.sum) < 1e-6);
    CHECK(relative_error(to_doubles(layer.to_branch.values()), gradients.to_branch) < 2.2e-3);
    CHECK(relative_error(layer.to_bias.values(), gradients.to_bias) < 2e-6 * scale);
  }
  CHECK(layer.margins_hold());
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<float> to_sum = layer.to_sum.values();
  const std::vector<float> to_weight = layer.to_weight.values();
  layer.poison();
  layer.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(to_sum, layer.to_sum.values()));
  CHECK(same_bits(to_weight, layer.to_weight.values()));
}

}  // namespace

TEST_CASE("LayerNorm with a residual branch agrees with float64 for all counts of channels") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const int channels : {8, 48, 96, 128, 136, 192, 256, 264, 384, 512, 768, 776, 1024}) {
    check_layer({{2, 5, 7, 9}, channels});
    check_layer({{1, 1, 1, 3}, channels});
  }
  check_layer({{2, 13, 17, 19}, 96});
}

TEST_CASE("LayerNorm of a stream alone, of a branch alone, and with a float32 result") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const int channels : {96, 192, 768, 1024}) {
    check_layer({{2, 5, 7, 9}, channels}, {.branch = false});
    check_layer({{2, 5, 7, 9}, channels}, {.stream = false});
    check_layer({{2, 5, 7, 9}, channels}, {.stream = false, .wide = true, .more = false});
    check_layer({{2, 5, 7, 9}, channels}, {.mean = 100.0F});
  }
}

TEST_CASE("LayerNorm of merged tokens") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const int channels : {8, 24, 48, 96, 192, 384, 512}) {
    for (const bool more : {false, true}) {
      check_layer({{2, 4, 6, 10}, channels, true}, {.branch = false, .more = more});
    }
  }
  check_layer({{1, 2, 2, 2}, 96, true}, {.branch = false});
  check_layer({{1, 22, 18, 34}, 96, true}, {.branch = false});
}

TEST_CASE("captured LayerNorm gives the same bytes as uncaptured one") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 5, 7, 9}, 96}, {});
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<float> to_sum = layer.to_sum.values();
  const std::vector<float> to_bias = layer.to_bias.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.poison(); });
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(to_sum, layer.to_sum.values()));
  CHECK(same_bits(to_bias, layer.to_bias.values()));
}

TEST_CASE("LayerNorm refuses what it has no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) float memory[12];
  alignas(16) Bf16 halves[8];
  LayerNormForward arrays;
  arrays.stream = arrays.weight = arrays.shift = memory;
  arrays.out = halves;
  CHECK_THROWS_AS(layer_norm_forward({{1, 1, 1, 1}, 12}, arrays, chip, nullptr), BugError);
  arrays.wide_out = memory;
  CHECK_THROWS_AS(layer_norm_forward({{1, 1, 1, 1}, 8}, arrays, chip, nullptr), BugError);
  arrays.wide_out = nullptr;
  arrays.stream = memory + 1;
  CHECK_THROWS_AS(layer_norm_forward({{1, 1, 1, 1}, 8}, arrays, chip, nullptr), BugError);
  arrays.stream = nullptr;
  CHECK_THROWS_AS(layer_norm_forward({{1, 1, 1, 1}, 8}, arrays, chip, nullptr), BugError);
  CHECK_THROWS_AS(layer_norm_backward({{1, 1, 1, 1}, 8}, {}, chip, nullptr), BugError);
}

TEST_CASE("GELU with its bias and their gradients agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  for (const GeluShape& shape : {GeluShape{1, 8}, GeluShape{630, 384}, GeluShape{5323, 192}, GeluShape{210, 3072},
                                 GeluShape{77, 264}, GeluShape{4199, 256}}) {
    for (const bool biased : {false, true}) {
      INFO(shape.rows << " rows of " << shape.channels << " channels, bias " << biased);
      const std::int64_t count = shape.rows * shape.channels;
      const std::vector<Bf16> x = random_bf16(count, 1);
      const std::vector<Bf16> arriving = random_bf16(count, 2);
      const std::vector<float> bias = normal_values(static_cast<std::size_t>(shape.channels), 3);
      const DeviceArray<Bf16> in(x);
      const DeviceArray<Bf16> gradient(arriving);
      const DeviceArray<float> added(bias);
      DeviceArray<Bf16> out(x.size());
      DeviceArray<Bf16> to_in(x.size());
      DeviceArray<float> to_bias(bias.size());
      DeviceArray<unsigned char> scratch(gelu_scratch_bytes(shape, chip));
      const float* given = biased ? added.get() : nullptr;
      const auto queue = [&](Stream stream) {
        gelu_forward(shape, {in.get(), given, out.get()}, chip, stream);
        gelu_backward(shape,
                      {in.get(), given, gradient.get(), to_in.get(), biased ? to_bias.get() : nullptr, scratch.get()},
                      chip, stream);
      };
      queue(nullptr);
      wait_for_gpu();
      const std::vector<double> of_bias = biased ? doubles_of(bias) : std::vector<double>();
      const GeluGradients expected = gelu_gradient_reference(shape, to_doubles(x), of_bias, to_doubles(arriving));
      const std::vector<Bf16> results = to_in.values();
      const std::vector<float> sums = to_bias.values();
      CHECK(relative_error(to_doubles(out.values()), gelu_reference(shape, to_doubles(x), of_bias)) < 2.2e-3);
      CHECK(relative_error(to_doubles(results), expected.to_in) < 2.2e-3);
      if (biased) {
        CHECK(relative_error(sums, expected.to_bias) < 3e-6);
      }
      CHECK((out.margins_hold() && to_in.margins_hold() && to_bias.margins_hold() && scratch.margins_hold()));
      out.poison();
      to_in.poison();
      to_bias.poison();
      scratch.poison();
      replay(queue, [&] { to_in.poison(); });
      CHECK(same_bits(results, to_in.values()));
      CHECK((!biased || same_bits(sums, to_bias.values())));
    }
  }
}

TEST_CASE("GELU refuses what it has no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) Bf16 memory[16];
  alignas(16) float sums[8];
  CHECK_THROWS_AS(gelu_forward({1, 12}, {memory, nullptr, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(gelu_forward({1, 8}, {memory, nullptr, nullptr}, chip, nullptr), BugError);
  CHECK_THROWS_AS(gelu_backward({1, 8}, {memory, nullptr, memory, memory, sums, nullptr}, chip, nullptr), BugError);
}

}  // namespace regatta::kernels
