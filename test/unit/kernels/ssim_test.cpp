#include "regatta/kernels/ssim.hpp"

#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 4, 13, 6};

const auto kCount = static_cast<std::size_t>(kSize.all());

std::vector<float> uniform(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<float> draw(0.0F, 1.0F);
  std::vector<float> values(kCount);
  for (float& value : values) {
    value = draw(engine);
  }
  return values;
}

}  // namespace

TEST_CASE("structural similarity of equal images is 1, and of far smaller than the window's images that of one voxel") {
  const std::vector<float> a = uniform(1);
  CHECK(ssim_reference({a.data(), a.data(), kSize}, nullptr) == Approx(0.0).margin(1e-12));
  const float one = 0.8F;
  const float other = 0.3F;
  // The middle weight of the window, cubed, of each mean; mean squares and products likewise.
  const double middle = 0.01882358;  // 0.26602^3
  const double means[2] = {middle * one, middle * other};
  const double square = means[0] * means[0] + means[1] * means[1];
  const double product = means[0] * means[1];
  const double a1 = 2.0 * product + 1e-4;
  const double a2 = 2.0 * (middle * one * other - product) + 9e-4;
  const double b1 = square + 1e-4;
  const double b2 = middle * (one * one + other * other) - square + 9e-4;
  CHECK(ssim_reference({&one, &other, {1, 1, 1, 1}}, nullptr) == Approx(1.0 - a1 * a2 / (b1 * b2)).epsilon(1e-4));
}

TEST_CASE("the gradient of structural similarity is that of finite differences") {
  const std::vector<float> fixed = uniform(2);
  std::vector<float> warped = uniform(3);
  const SsimPair pair = {fixed.data(), warped.data(), kSize};
  std::vector<double> gradient;
  ssim_reference(pair, &gradient);
  for (std::size_t i = 0; i < kCount; i += 13) {
    const float kept = warped[i];
    warped[i] = kept + 0x1p-12F;
    const double above = ssim_reference(pair, nullptr);
    warped[i] = kept - 0x1p-12F;
    const double below = ssim_reference(pair, nullptr);
    warped[i] = kept;
    CHECK(gradient[i] == Approx((above - below) / 0x1p-11).epsilon(1e-5).margin(1e-9));
  }
}

}  // namespace regatta::kernels
