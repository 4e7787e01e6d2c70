#include "regatta/kernels/activation.hpp"

#include <cmath>
#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr int kWider = 24;  // channels of a wider gradient's voxels beside ours

std::vector<float> random_floats(int count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    values[static_cast<std::size_t>(i)] = random_value(seed, i);
  }
  return values;
}

/// A layer's activation, its derivative and its bias' gradient.
struct Layer {
  ActivationShape shape;
  bool trained;
  Capability chip = capability(0);
  std::vector<Bf16> product, added, wide, other;
  std::vector<float> bias, inner, slope;
  DeviceArray<Bf16> device_product, device_added, device_wide, device_other;
  DeviceArray<float> device_bias, device_inner, device_slope;
  DeviceArray<Bf16> before, out, leaving;
  DeviceArray<float> slope_gradient, sums;
  DeviceArray<unsigned char> scratch;

  Layer(const ActivationShape& of, bool prelu)
      : shape(of),
        trained(prelu),
        product(random_bf16(of.elements(), 1)),
        added(random_bf16(of.elements(), 2)),
        wide(random_bf16(of.voxels * (of.channels + kWider), 3)),
        other(random_bf16(of.elements(), 4)),
        bias(random_floats(of.channels, 5)),
        inner(random_floats(of.channels, 6)),
        slope(1, -0.15F),
        device_product(product),
        device_added(added),
        device_wide(wide),
        device_other(other),
        device_bias(bias),
        device_inner(inner),
        device_slope(slope),
        before(product.size()),
        out(product.size()),
        leaving(product.size()),
        slope_gradient(1),
        sums(2 * bias.size()),
        scratch(activation_scratch_bytes(of, chip)) {}

  ActivationForward forward(bool device) const {
    ActivationForward arrays;
    arrays.product = device ? device_product.get() : product.data();
    arrays.biases = {device ? device_bias.get() : bias.data(), device ? device_inner.get() : inner.data(), nullptr};
    arrays.added = device ? device_added.get() : added.data();
    arrays.prelu = !trained ? nullptr : device ? device_slope.get() : slope.data();
    arrays.slope = 0.2F;
    arrays.before = const_cast<Bf16*>(before.get());
    arrays.out = const_cast<Bf16*>(out.get());
    return arrays;
  }

  ActivationGradient gradient(bool device) const {
    ActivationGradient arrays;
    arrays.gradient = (device ? device_wide.get() : wide.data()) + 8;
    arrays.gradient_channels = shape.channels + kWider;
    arrays.added = device ? device_other.get() : other.data();
    arrays.before = device ? device_product.get() : product.data();
    arrays.prelu = !trained ? nullptr : device ? device_slope.get() : slope.data();
    arrays.slope = 0.2F;
    arrays.before_gradient = const_cast<Bf16*>(leaving.get());
    arrays.slope_gradient = trained ? const_cast<float*>(slope_gradient.get()) : nullptr;
    arrays.scratch = const_cast<unsigned char*>(scratch.get());
    return arrays;
  }

  void queue(Stream stream) {
    activate(shape, forward(true), chip, stream);
    activation_gradient(shape, gradient(true), chip, stream);
    channel_sums(shape, device_product.get(), {sums.get(), nullptr, sums.get() + bias.size()}, scratch.get(), chip,
                 stream);
  }

  void poison() {
    before.poison();
    out.poison();
    leaving.poison();
    slope_gradient.poison();
    sums.poison();
    scratch.poison();
  }

  bool margins_hold() const {
    return before.margins_hold() && out.margins_hold() && leaving.margins_hold() && slope_gradient.margins_hold() &&
           sums.margins_hold() && scratch.margins_hold();
  }
};

void check_layer(const ActivationShape& shape, bool trained) {
  INFO(shape.voxels << " voxels of " << shape.channels << " channels, trained slope " << trained);
  Layer layer(shape, trained);
  layer.poison();
  layer.queue(nullptr);
  wait_for_gpu();
  const ActivationResult forward = activate_reference(shape, layer.forward(false));
  CHECK(relative_error(to_doubles(layer.before.values()), forward.before) < 2.5e-3);
  CHECK(relative_error(to_doubles(layer.out.values()), forward.out) < 2.5e-3);
  const ActivationGradientResult gradient = activation_gradient_reference(shape, layer.gradient(false));
  CHECK(relative_error(to_doubles(layer.leaving.values()), gradient.before_gradient) < 2.5e-3);
  if (trained) {
    const double terms = std::sqrt(static_cast<double>(shape.elements()));
    CHECK(std::abs(layer.slope_gradient.values()[0] - gradient.slope_gradient) < 1e-4 * terms);
  }
  std::vector<double> sums = channel_sums_reference(shape, layer.product.data());
  const std::size_t channels = sums.size();
  for (std::size_t c = 0; c < channels; ++c) {
    sums.push_back(sums[c]);
  }
  CHECK(relative_error(layer.sums.values(), sums) < 1e-5);
  CHECK(layer.margins_hold());
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<Bf16> leaving = layer.leaving.values();
  const std::vector<float> first = layer.sums.values();
  layer.poison();
  layer.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(leaving, layer.leaving.values()));
  CHECK(same_bits(first, layer.sums.values()));
}

}  // namespace

TEST_CASE("activations beside other libraries' convolutions agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const int channels : {8, 24, 32, 64, 96, 256, 520, 2048}) {
    check_layer({2 * 13 * 17 * 19, channels}, channels % 64 != 0);
  }
  check_layer({1, 8}, true);
  check_layer({3, 64}, true);
  check_layer({37 * 45 * 70, 32}, true);
}

TEST_CASE("an activation may be written over what it reads") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const ActivationShape shape = {1234, 64};
  Layer layer(shape, true);
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  ActivationForward arrays = layer.forward(true);
  arrays.before = nullptr;
  arrays.out = const_cast<Bf16*>(layer.device_product.get());
  activate(shape, arrays, layer.chip, nullptr);
  wait_for_gpu();
  CHECK(same_bits(out, layer.device_product.values()));
}

TEST_CASE("captured activations give the same bytes as uncaptured ones") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({2 * 13 * 17 * 19, 48}, true);
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<float> slope = layer.slope_gradient.values();
  const std::vector<float> sums = layer.sums.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.poison(); });
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(slope, layer.slope_gradient.values()));
  CHECK(same_bits(sums, layer.sums.values()));
}

TEST_CASE("activations refuse shapes and pointers that they cannot take") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({100, 16}, true);
  CHECK_THROWS_AS(activate({100, 12}, layer.forward(true), layer.chip, nullptr), BugError);
  ActivationGradient arrays = layer.gradient(true);
  arrays.scratch = nullptr;
  CHECK_THROWS_AS(activation_gradient({100, 16}, arrays, layer.chip, nullptr), BugError);
}

}  // namespace regatta::kernels
