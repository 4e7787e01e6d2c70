#include "regatta/base/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace regatta {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

std::uint64_t CounterRng::bits(std::uint64_t a, std::uint32_t b) const {
  const auto words = philox4x32(
      {static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(a >> 32), b, static_cast<std::uint32_t>(purpose_)},
      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
  return (static_cast<std::uint64_t>(words[0]) << 32) | words[1];
}

double CounterRng::uniform(std::uint64_t a, std::uint32_t b) const {
  return static_cast<double>(bits(a, b) >> 11) * 0x1.0p-53;
}

double CounterRng::normal(std::uint64_t a, std::uint32_t b) const {
  const std::uint64_t word = bits(a, b);
  const double radius_draw = (static_cast<double>(word >> 32) + 1.0) * 0x1.0p-32;  // (0, 1]
  const double angle_draw = static_cast<double>(word & 0xffffffffU) * 0x1.0p-32;
  return std::sqrt(-2.0 * std::log(radius_draw)) * std::cos(2.0 * std::numbers::pi * angle_draw);
}

std::uint64_t CounterRng::below(std::uint64_t n, std::uint64_t a, std::uint32_t b) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(bits(a, b)) * n) >> 64);
}

std::vector<std::uint32_t> CounterRng::permutation(std::uint32_t n, std::uint64_t a) const {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t i = n; i > 1; --i) {  // Fisher-Yates
    std::swap(order[i - 1], order[static_cast<std::uint32_t>(below(i, a, i))]);
  }
  return order;
}

}  // namespace regatta
