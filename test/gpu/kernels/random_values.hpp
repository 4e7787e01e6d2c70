// Random inputs of the tests, the same for the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace regatta::kernels {

inline std::vector<float> normal_values(std::size_t count, std::uint64_t seed, float deviation = 1.0F) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) {
    value = normal(engine);
  }
  return values;
}

inline std::vector<float> uniform_values(std::size_t count, std::uint64_t seed, float low, float high) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float& value : values) {
    value = uniform(engine);
  }
  return values;
}

}  // namespace regatta::kernels
