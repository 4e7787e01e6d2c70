#include "regatta/kernels/activation.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr ActivationShape kTwoVoxels = {2, 8};

std::vector<Bf16> bf16_of(const std::vector<float>& values) {
  std::vector<Bf16> out;
  for (const float value : values) {
    out.push_back(to_bf16(value));
  }
  return out;
}

/// 1, -2, 3, -4, ... over both voxels.
std::vector<Bf16> alternating() {
  std::vector<float> values;
  for (int i = 1; i <= 16; ++i) {
    values.push_back(i % 2 == 1 ? static_cast<float>(i) : static_cast<float>(-i));
  }
  return bf16_of(values);
}

}  // namespace

TEST_CASE("biases and an added input come before the activation") {
  const std::vector<Bf16> product = alternating();
  const std::vector<Bf16> added(16, to_bf16(0.5F));
  const std::vector<float> bias = {0, 1, 2, 3, 4, 5, 6, 7};
  const float slope = -0.25F;
  ActivationForward arrays;
  arrays.product = product.data();
  arrays.added = added.data();
  arrays.biases = {bias.data(), nullptr, bias.data()};
  arrays.prelu = &slope;
  const ActivationResult result = activate_reference(kTwoVoxels, arrays);
  CHECK(result.before[0] == 1.5);     // 1 + 0.5
  CHECK(result.before[1] == 0.5);     // -2 + 0.5 + 2 x 1
  CHECK(result.before[3] == 2.5);     // -4 + 0.5 + 2 x 3
  CHECK(result.before[9] == -7.5);    // second voxel: -10 + 0.5 + 2 x 1
  CHECK(result.out[9] == 7.5 / 4.0);  // a negative slope turns the sign
  CHECK(result.out[3] == result.before[3]);
}

TEST_CASE("the activation's derivative agrees with differences") {
  const std::vector<Bf16> before = alternating();
  const std::vector<Bf16> gradient(16, to_bf16(2.0F));
  const std::vector<Bf16> added(16, to_bf16(1.0F));
  float slope = 0.25F;
  ActivationGradient arrays;
  arrays.gradient = gradient.data();
  arrays.added = added.data();
  arrays.before = before.data();
  arrays.prelu = &slope;
  const ActivationGradientResult result = activation_gradient_reference(kTwoVoxels, arrays);
  CHECK(result.before_gradient[0] == 3.0);
  CHECK(result.before_gradient[1] == 0.75);
  CHECK(result.slope_gradient == -3.0 * (2 + 4 + 6 + 8 + 10 + 12 + 14 + 16));
  const auto loss = [&](float by) {  // 3 x the sum of the results
    slope += by;
    ActivationForward forward;
    forward.product = before.data();
    forward.prelu = &slope;
    double sum = 0.0;
    for (const double out : activate_reference(kTwoVoxels, forward).out) {
      sum += 3.0 * out;
    }
    slope -= by;
    return sum;
  };
  CHECK(std::abs((loss(0.125F) - loss(-0.125F)) / 0.25 - result.slope_gradient) < 1e-9);
}

TEST_CASE("a gradient is read out of wider voxels") {
  const std::vector<Bf16> wide = alternating();  // one voxel of 16 channels
  const std::vector<Bf16> before(8, to_bf16(1.0F));
  ActivationGradient arrays;
  arrays.gradient = wide.data() + 8;
  arrays.gradient_channels = 16;
  arrays.before = before.data();
  const ActivationGradientResult result = activation_gradient_reference({1, 8}, arrays);
  CHECK(result.before_gradient[0] == 9.0);
  CHECK(result.before_gradient[7] == -16.0);
}

TEST_CASE("channels are summed over the voxels") {
  const std::vector<double> sums = channel_sums_reference(kTwoVoxels, alternating().data());
  CHECK(sums == std::vector<double>{10, -12, 14, -16, 18, -20, 22, -24});
}

TEST_CASE("which features have activations in one pass") {
  const Capability chip = {9, 0, 132, std::size_t{227} << 10};
  CHECK(has_activation({1, 8}, chip));
  CHECK(has_activation({1000, 2048}, chip));
  CHECK_FALSE(has_activation({1000, 12}, chip));
  CHECK_FALSE(has_activation({1000, 2056}, chip));
  CHECK_FALSE(has_activation({0, 8}, chip));
  CHECK_FALSE(has_activation({1000, 8}, {7, 5, 40, 65536}));
}

}  // namespace regatta::kernels
