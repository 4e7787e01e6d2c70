#include "regatta/kernels/draw.hpp"

#include <cmath>

#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("drawn numbers are those of the counter-based generator, by step, stream and place") {
  const DrawKey key = {0x123456789abcdef0ULL, RandomPurpose::kSampling, 3, 1000};
  const CounterRng rng(key.seed, RandomPurpose::kSampling);
  const std::uint64_t place = 77 + (std::uint64_t{3} << 48);
  const std::vector<double> uniform = draw_uniform_reference(key, 77, 5);
  const std::vector<float> normal = draw_normal_reference(key, 77, 5);
  REQUIRE(uniform.size() == 5);
  for (std::uint32_t i = 0; i < 5; ++i) {
    CHECK(uniform[i] == rng.uniform(place, 1000 + i));
    CHECK(normal[i] == static_cast<float>(rng.normal(place, 1000 + i)));
  }
  CHECK(draw_uniform_reference(key, 78, 5) != uniform);
  CHECK(draw_uniform_reference({key.seed, key.purpose, 4, key.first}, 77, 5) != uniform);
  CHECK(draw_uniform_reference({key.seed, RandomPurpose::kDropout, 3, key.first}, 77, 5) != uniform);
}

TEST_CASE("drawn numbers have the moments of their distributions") {
  constexpr std::int64_t kCount = 40000;
  double sum = 0.0, squares = 0.0;
  for (const double u : draw_uniform_reference({5, RandomPurpose::kDropout, 0, 0}, 1, kCount)) {
    REQUIRE((u >= 0.0 && u < 1.0));
    sum += u;
  }
  CHECK(sum / kCount == Approx(0.5).margin(0.01));
  sum = 0.0;
  for (const float value : draw_normal_reference({5, RandomPurpose::kSampling, 0, 0}, 1, kCount)) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  CHECK(sum / kCount == Approx(0.0).margin(0.02));
  CHECK(squares / kCount == Approx(1.0).margin(0.03));
}

}  // namespace regatta::kernels
