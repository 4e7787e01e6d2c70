#include "regatta/kernels/mind.hpp"

#include <cmath>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 4, 5, 6};

std::vector<float> uniform(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<float> draw(0.0F, 1.0F);
  std::vector<float> values(count);
  for (float& value : values) {
    value = draw(engine);
  }
  return values;
}

}  // namespace

TEST_CASE("descriptors do not see brightness or contrast, and are 1 where nothing is to be seen") {
  const auto count = static_cast<std::size_t>(kSize.all());
  const std::vector<float> a = uniform(count, 1);
  std::vector<float> b(count);
  for (std::size_t i = 0; i < count; ++i) {
    b[i] = 0.7F - 0.5F * a[i];
  }
  CHECK(mind_reference({a.data(), b.data(), kSize}, nullptr) < 1e-10);
  const std::vector<float> flat(count, 0.4F);
  std::vector<double> gradient;
  CHECK(mind_reference({flat.data(), flat.data(), kSize}, &gradient) == 0.0);
  CHECK(gradient == std::vector<double>(count, 0.0));
}

TEST_CASE("the descriptor of a row of three voxels is that of its differences") {
  // Along W alone: neighbours along D and H are the voxel itself. With radius 1 and dilation 1 the channels of D and H
  // are 0, each of the other eight is (I(x) - I(x - 1))^2 or (I(x) - I(x + 1))^2, four times each, averaged over three.
  const std::vector<float> row = {0.0F, 1.0F, 3.0F};
  const std::vector<float> flat(3, 0.0F);
  double expected = 0.0;
  const double lower[3] = {(0.0 + 0.0 + 1.0) / 3.0, (0.0 + 1.0 + 4.0) / 3.0, (1.0 + 4.0 + 4.0) / 3.0};
  const double upper[3] = {(1.0 + 1.0 + 4.0) / 3.0, (1.0 + 4.0 + 0.0) / 3.0, (4.0 + 0.0 + 0.0) / 3.0};
  for (int x = 0; x < 3; ++x) {
    const double scale = (4.0 * lower[x] + 4.0 * upper[x]) / 12.0;
    expected +=
        4.0 * std::pow(1.0 - std::exp(-lower[x] / scale), 2.0) + 4.0 * std::pow(1.0 - std::exp(-upper[x] / scale), 2.0);
  }
  CHECK(mind_reference({row.data(), flat.data(), {1, 1, 1, 3}, 1, 1}, nullptr) == Approx(expected / 36.0));
}

TEST_CASE("the gradient of descriptors is that of finite differences") {
  const auto count = static_cast<std::size_t>(kSize.all());
  const std::vector<float> fixed = uniform(count, 2);
  std::vector<float> warped = uniform(count, 3);
  for (const auto& [radius, dilation] : {std::pair{1, 1}, {2, 2}, {1, 3}}) {
    const MindPair pair = {fixed.data(), warped.data(), kSize, radius, dilation};
    std::vector<double> gradient;
    mind_reference(pair, &gradient);
    REQUIRE(gradient.size() == count);
    for (std::size_t i = 0; i < count; i += 7) {
      const float kept = warped[i];
      warped[i] = kept + 0x1p-14F;
      const double above = mind_reference(pair, nullptr);
      warped[i] = kept - 0x1p-14F;
      const double below = mind_reference(pair, nullptr);
      warped[i] = kept;
      CHECK(gradient[i] == Approx((above - below) / 0x1p-13).epsilon(1e-4).margin(1e-7));
    }
  }
}

}  // namespace regatta::kernels
