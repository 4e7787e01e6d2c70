#include "regatta/kernels/instance_norm.hpp"

#include <cmath>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr Capability kH200 = {9, 0, 132, 232448};

/// Between -1 and 1 in 64ths: with one added or taken away, bf16 still holds them.
std::vector<Bf16> sixty_fourths(std::size_t count, unsigned seed) {
  std::vector<Bf16> values;
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    values.push_back(to_bf16((static_cast<float>(seed >> 25U) - 64.0F) / 64.0F));
  }
  return values;
}

}  // namespace

TEST_CASE("a channel of each sample gets mean 0 and variance 1, then the LeakyReLU") {
  const InstanceNormShape shape = {{2, 1, 1, 2}, 8, 0.25F};
  std::vector<Bf16> in(32, to_bf16(5.0F));
  in[3] = to_bf16(1.0F);  // sample 0, voxels 0 and 1, channel 3
  in[8 + 3] = to_bf16(3.0F);
  in[16 + 3] = to_bf16(104.0F);  // sample 1
  in[24 + 3] = to_bf16(100.0F);
  const InstanceNormResult result = instance_norm_reference(shape, in.data());
  CHECK(result.mean[3] == 2.0);
  CHECK(result.mean[8 + 3] == 102.0);
  CHECK(result.inverse_deviation[3] == Approx(1.0 / std::sqrt(1.0 + 1e-5)).epsilon(1e-12));
  CHECK(result.inverse_deviation[8 + 3] == Approx(1.0 / std::sqrt(4.0 + 1e-5)).epsilon(1e-12));
  CHECK(result.out[3] == Approx(-0.25).epsilon(1e-5));
  CHECK(result.out[8 + 3] == Approx(1.0).epsilon(1e-5));
  CHECK(result.out[16 + 3] == Approx(1.0).epsilon(1e-5));
  CHECK(result.out[24 + 3] == Approx(-0.25).epsilon(1e-5));
  CHECK(result.out[0] == 0.0);  // a constant channel
  CHECK(result.inverse_deviation[0] == Approx(std::sqrt(1e5)));
}

TEST_CASE("the derivative of InstanceNorm agrees with finite differences") {
  const InstanceNormShape shape = {{2, 2, 3, 4}, 8, 0.2F};
  const std::size_t count = 2 * 24 * 8;
  const std::vector<Bf16> in = sixty_fourths(count, 1);
  const std::vector<Bf16> weights = sixty_fourths(count, 2);
  const auto loss = [&](const std::vector<Bf16>& x) {
    const InstanceNormResult result = instance_norm_reference(shape, x.data());
    double sum = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      sum += result.out[i] * to_float(weights[i]);
    }
    return sum;
  };
  const std::vector<double> gradient = instance_norm_gradient_reference(shape, in.data(), weights.data());
  const std::vector<double> middle = instance_norm_reference(shape, in.data()).out;
  int compared = 0;
  for (std::size_t i = 0; i < count; i += 7) {
    std::vector<Bf16> moved = in;
    moved[i] = to_bf16(to_float(in[i]) + 1.0F / 64.0F);
    const double above = loss(moved);
    const std::vector<double> above_out = instance_norm_reference(shape, moved.data()).out;
    moved[i] = to_bf16(to_float(in[i]) - 1.0F / 64.0F);
    const double below = loss(moved);
    const std::vector<double> below_out = instance_norm_reference(shape, moved.data()).out;
    bool bent = false;  // a value of the sample passes 0 in between
    for (std::size_t k = 0; k < count; ++k) {
      bent = bent || above_out[k] * middle[k] < 0.0 || below_out[k] * middle[k] < 0.0;
    }
    if (!bent) {
      ++compared;
      CHECK(gradient[i] == Approx((above - below) * 32.0).margin(2e-3));
    }
  }
  CHECK(compared > 30);
}

TEST_CASE("the derivatives of InstanceNorm with weights agree with finite differences") {
  const InstanceNormShape shape = {{2, 2, 3, 4}, 8, 1.0F, 0, true};
  const std::size_t count = 2 * 24 * 8;
  std::vector<Bf16> in = sixty_fourths(count, 1);
  const std::vector<Bf16> arriving = sixty_fourths(count, 2);
  std::vector<float> weights = {0.5F, 1.5F, -0.75F, 0.0F, 1.0F, 2.0F, 0.25F, 1.0F};
  for (int c = 0; c < 8; ++c) {
    weights.push_back(0.1F * static_cast<float>(c) - 0.3F);
  }
  const InstanceNormWeights given = {weights.data(), weights.data() + 8};
  const auto loss = [&] {
    const InstanceNormResult result = instance_norm_reference(shape, in.data(), given);
    double sum = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      sum += result.out[i] * to_float(arriving[i]);
    }
    return sum;
  };
  std::vector<double> to_weights;
  const std::vector<double> gradient =
      instance_norm_gradient_reference(shape, in.data(), arriving.data(), given, &to_weights);
  for (std::size_t i = 0; i < weights.size(); ++i) {  // linear in both
    const float before = weights[i];
    weights[i] = before + 0.5F;
    const double above = loss();
    weights[i] = before - 0.5F;
    CHECK(to_weights[i] == Approx(above - loss()).margin(1e-9));
    weights[i] = before;
  }
  for (std::size_t i = 0; i < count; i += 5) {
    const Bf16 before = in[i];
    in[i] = to_bf16(to_float(before) + 1.0F / 64.0F);
    const double above = loss();
    in[i] = to_bf16(to_float(before) - 1.0F / 64.0F);
    CHECK(gradient[i] == Approx((above - loss()) * 32.0).margin(2e-3));
    in[i] = before;
  }
}

TEST_CASE("InstanceNorm has kernels for multiples of 8 channels and slopes that can be undone") {
  const VolumeSize size = {2, 13, 17, 19};
  for (const int channels : {8, 16, 24, 48, 96, 384, 1024}) {
    CHECK(has_form(InstanceNormShape{size, channels, 0.01F}, kH200));
  }
  CHECK_FALSE(has_form(InstanceNormShape{size, 20, 0.01F}, kH200));
  CHECK_FALSE(has_form(InstanceNormShape{size, 1032, 0.01F}, kH200));
  CHECK_FALSE(has_form(InstanceNormShape{size, 16, 0.0F}, kH200));
  CHECK(has_form(InstanceNormShape{size, 16, 0.0F, 0, true}, kH200));
  CHECK_FALSE(has_form(InstanceNormShape{{0, 13, 17, 19}, 16, 0.01F}, kH200));
  CHECK_FALSE(has_form(InstanceNormShape{size, 16, 0.01F}, Capability{7, 5, 68, 65536}));
  CHECK_THROWS_AS(instance_norm_scratch_bytes({size, 20, 0.01F}, kH200), BugError);
  // 396 blocks at most of each sample, and the means: 64 bytes for each vector of channels.
  CHECK(instance_norm_scratch_bytes({{2, 160, 192, 224}, 16, 0.01F}, kH200) == std::size_t{2} * 2 * 397 * 64);
  CHECK(instance_norm_scratch_bytes({{1, 2, 3, 4}, 16, 0.01F}, kH200) == std::size_t{2} * 2 * 64);
}

}  // namespace regatta::kernels
