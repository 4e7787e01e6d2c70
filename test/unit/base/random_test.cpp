#include <algorithm>
#include <cmath>
#include <set>

#include "regatta/base/random.hpp"
#include "support/catch.hpp"

using namespace regatta;

TEST_CASE("philox4x32-10 gives the published known answers") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform draws lie in [0, 1) with the right mean") {
  const CounterRng rng(7, RandomPurpose::kSynthetic);
  double sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.uniform(static_cast<std::uint64_t>(i));
    REQUIRE(value >= 0.0);
    REQUIRE(value < 1.0);
    sum += value;
    const double normal = rng.normal(static_cast<std::uint64_t>(i), 1);
    normal_sum += normal;
    normal_squares += normal * normal;
  }
  CHECK(sum / kDraws == Approx(0.5).margin(0.01));
  CHECK(normal_sum / kDraws == Approx(0.0).margin(0.03));
  CHECK(normal_squares / kDraws == Approx(1.0).margin(0.04));
}

TEST_CASE("a permutation holds each index once and depends on its counter") {
  const CounterRng rng(3, RandomPurpose::kPairOrder);
  const auto first = rng.permutation(50, 0);
  CHECK(std::set<std::uint32_t>(first.begin(), first.end()).size() == 50);
  CHECK(*std::max_element(first.begin(), first.end()) == 49);
  CHECK(first == rng.permutation(50, 0));
  CHECK(first != rng.permutation(50, 1));
  CHECK(first != CounterRng(4, RandomPurpose::kPairOrder).permutation(50, 0));
  CHECK(first != CounterRng(3, RandomPurpose::kAugment).permutation(50, 0));
}
