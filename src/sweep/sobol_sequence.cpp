// Direction numbers by their recurrence, and the scrambling.
#include "sweep/sobol_sequence.hpp"

#include <bit>

#include "regatta/base/error.hpp"
#include "regatta/base/random.hpp"
#include "sweep/joe_kuo.hpp"

namespace regatta {
namespace {

constexpr int kBits = SobolSequence::kBits;
using Directions = std::array<std::uint32_t, kBits>;

/// m_j = 2 a_1 m_(j-1) ^ 4 a_2 m_(j-2) ^ ... ^ 2^s m_(j-s) ^ m_(j-s), v_j = m_j << (32 - j).
Directions directions_of(std::size_t dimension) {
  Directions v{};
  if (dimension == 0) {
    for (int j = 0; j < kBits; ++j) {
      v[static_cast<std::size_t>(j)] = std::uint32_t{1} << (kBits - 1 - j);
    }
    return v;
  }
  const SobolDimension& row = kSobolDimensions.at(dimension - 1);
  const auto s = static_cast<std::size_t>(row.degree);
  std::array<std::uint64_t, kBits> m{};
  for (std::size_t j = 0; j < static_cast<std::size_t>(kBits); ++j) {
    if (j < s) {
      m[j] = row.numbers[j];
    } else {
      m[j] = m[j - s] ^ (m[j - s] << s);
      for (std::size_t k = 1; k < s; ++k) {
        const std::uint64_t a = (row.coefficients >> (s - 1 - k)) & 1U;
        m[j] ^= a * (m[j - k] << k);
      }
    }
    v[j] = static_cast<std::uint32_t>(m[j] << (static_cast<std::size_t>(kBits) - 1 - j));
  }
  return v;
}

/// Output bit r, counted from the highest, is the parity of the bits of `v` that row r of the matrix picks.
std::uint32_t times_matrix(const Directions& rows, std::uint32_t v) {
  std::uint32_t product = 0;
  for (const std::uint32_t row : rows) {
    product = (product << 1) | (static_cast<std::uint32_t>(std::popcount(row & v)) & 1U);
  }
  return product;
}

}  // namespace

SobolSequence::SobolSequence(std::size_t dimensions, std::optional<std::uint64_t> seed) {
  REGATTA_REQUIRE(dimensions >= 1 && dimensions <= kMostDimensions, BugError, "sobol: ", dimensions, " dimensions");
  for (std::size_t d = 0; d < dimensions; ++d) {
    Dimension dimension{directions_of(d), 0};
    if (seed) {
      const CounterRng rng(*seed, RandomPurpose::kScramble);
      Directions rows{};
      for (std::uint32_t r = 0; r < kBits; ++r) {
        const std::uint32_t diagonal = std::uint32_t{1} << (kBits - 1 - r);
        const std::uint32_t before = ~(diagonal | (diagonal - 1));  // the bits above it
        rows[r] = (static_cast<std::uint32_t>(rng.bits(d, r)) & before) | diagonal;
      }
      for (std::uint32_t& direction : dimension.directions) {
        direction = times_matrix(rows, direction);
      }
      dimension.shift = static_cast<std::uint32_t>(rng.bits(d, kBits));
    }
    dimensions_.push_back(dimension);
  }
}

double SobolSequence::at(std::uint32_t index, std::size_t dimension) const {
  const Dimension& of = dimensions_.at(dimension);
  std::uint32_t x = of.shift;
  for (std::uint32_t gray = index ^ (index >> 1); gray != 0; gray &= gray - 1) {
    x ^= of.directions[static_cast<std::size_t>(std::countr_zero(gray))];
  }
  return x * 0x1p-32;
}

}  // namespace regatta
