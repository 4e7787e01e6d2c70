// Large random arrays, each value a function of seed and place, and work on all of them by several threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "regatta/kernels/bf16.hpp"

namespace regatta::kernels {

inline std::uint64_t hash(std::uint64_t x) {
  x ^= x >> 33U;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33U;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33U);
}

inline void in_parallel(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  const std::int64_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> running;
  for (std::int64_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (std::int64_t i = count * t / threads; i < count * (t + 1) / threads; ++i) {
        work(i);
      }
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
}

/// Between -1.5 and 1.5, triangular.
inline float random_value(std::uint64_t seed, std::int64_t i) {
  const std::uint64_t bits = hash(hash(seed) + static_cast<std::uint64_t>(i));
  const auto low = static_cast<float>(bits & 0xffffffU);
  const auto high = static_cast<float>(bits >> 40U);
  return ((low + high) / 16777216.0F - 1.0F) * 1.5F;
}

inline std::vector<Bf16> random_bf16(std::int64_t count, std::uint64_t seed) {
  std::vector<Bf16> values(static_cast<std::size_t>(count));
  in_parallel(count, [&](std::int64_t i) { values[i] = to_bf16(random_value(seed, i)); });
  return values;
}

}  // namespace regatta::kernels
