#include "regatta/kernels/mutual_information.hpp"

#include <cmath>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<float> uniform(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<float> draw(0.05F, 0.95F);
  std::vector<float> values(count);
  for (float& value : values) {
    value = draw(engine);
  }
  return values;
}

}  // namespace

TEST_CASE("mutual information of two values is that of a coin where images agree, and none where they do not care") {
  const std::vector<float> a = {0.0F, 1.0F, 0.0F, 1.0F, 0.0F, 1.0F, 0.0F, 1.0F};
  const std::vector<float> b = {0.0F, 0.0F, 1.0F, 1.0F, 0.0F, 0.0F, 1.0F, 1.0F};
  const VolumeSize size = {1, 2, 2, 2};
  const ParzenPair same = {a.data(), a.data(), size, 2, 0.1};
  CHECK(mutual_information_reference(same, 0, nullptr, nullptr) == Approx(-std::log(2.0)).epsilon(1e-5));
  CHECK(mutual_information_reference(same, 2, nullptr, nullptr) == Approx(-std::log(2.0)).epsilon(1e-5));
  const ParzenPair other = {a.data(), b.data(), size, 2, 0.1};
  CHECK(std::abs(mutual_information_reference(other, 0, nullptr, nullptr)) < 1e-5);
}

TEST_CASE("cubes of mutual information tile the volume, with zeros around it") {
  const std::vector<float> a = uniform(5, 1);
  const std::vector<float> b = uniform(5, 2);
  const ParzenPair pair = {a.data(), b.data(), {1, 1, 1, 5}, 4, 0.5};
  const double local = mutual_information_reference(pair, 2, nullptr, nullptr);
  double sum = 0.0;  // 1 of the 6 columns is a zero behind; of D and H nothing is in front
  for (std::size_t cube = 0; cube < 3; ++cube) {
    std::vector<float> first(8, 0.0F);
    std::vector<float> second(8, 0.0F);
    for (std::size_t i = 0; i < 2 && 2 * cube + i < 5; ++i) {
      first[i] = a[2 * cube + i];
      second[i] = b[2 * cube + i];
    }
    sum += mutual_information_reference({first.data(), second.data(), {1, 2, 2, 2}, 4, 0.5}, 0, nullptr, nullptr);
  }
  CHECK(local == Approx(sum / 3.0).epsilon(1e-12));
}

TEST_CASE("the gradients of mutual information are those of finite differences, for both images") {
  const VolumeSize size = {2, 3, 4, 5};
  std::vector<float> images[2] = {uniform(120, 3), uniform(120, 4)};
  const ParzenPair pair = {images[0].data(), images[1].data(), size, 6, 0.7};
  for (const int edge : {0, 3}) {
    std::vector<double> gradients[2];
    mutual_information_reference(pair, edge, &gradients[0], &gradients[1]);
    for (int which = 0; which < 2; ++which) {
      for (std::size_t i = 0; i < 120; i += 7) {
        const float kept = images[which][i];
        images[which][i] = kept + 0x1p-12F;
        const double above = mutual_information_reference(pair, edge, nullptr, nullptr);
        images[which][i] = kept - 0x1p-12F;
        const double below = mutual_information_reference(pair, edge, nullptr, nullptr);
        images[which][i] = kept;
        CHECK(gradients[which][i] == Approx((above - below) / 0x1p-11).epsilon(1e-4).margin(1e-7));
      }
    }
  }
}

TEST_CASE("an intensity outside 0 to 1 is moved to the end and has no derivative") {
  std::vector<float> a = uniform(8, 5);
  std::vector<float> b = uniform(8, 6);
  b[3] = 1.0F;
  const ParzenPair pair = {a.data(), b.data(), {1, 2, 2, 2}, 8, 1.0};
  const double at_end = mutual_information_reference(pair, 0, nullptr, nullptr);
  b[3] = 1.5F;
  std::vector<double> gradient;
  CHECK(mutual_information_reference(pair, 0, nullptr, &gradient) == at_end);
  CHECK(gradient[3] == 0.0);
}

}  // namespace regatta::kernels
