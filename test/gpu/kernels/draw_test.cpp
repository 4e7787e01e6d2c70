// Drawn numbers against the CPU generator's, and again from a replayed graph with another step.
#include "regatta/kernels/draw.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/device_array.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr DrawKey kKey = {0xfedcba9876543210ULL, RandomPurpose::kSampling, 2, 4294000000U};

std::vector<double> step_of(std::int64_t step) {
  return {static_cast<double>(step)};
}

/// Values are below 7, where float32 has steps of 5e-7.
bool are_near(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) { return std::abs(x - y) < 1e-6F; });
}

}  // namespace

TEST_CASE("the device draws the uniforms of the CPU bit by bit and its normals within rounding") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const std::int64_t count : {1, 31, 4097, 967296}) {  // the last place is 2^32 - 1
    for (const std::int64_t step : {std::int64_t{1}, std::int64_t{123456}, (std::int64_t{1} << 48) - 1}) {
      INFO("count " << count << ", step " << step);
      const DeviceArray<double> number(step_of(step));
      DeviceArray<double> uniform(static_cast<std::size_t>(count));
      DeviceArray<float> normal(static_cast<std::size_t>(count));
      draw_uniform(kKey, number.get(), uniform.get(), count, nullptr);
      draw_normal(kKey, number.get(), normal.get(), count, nullptr);
      wait_for_gpu();
      CHECK(same_bits(uniform.values(), draw_uniform_reference(kKey, step, count)));
      CHECK(are_near(normal.values(), draw_normal_reference(kKey, step, count)));
      CHECK(uniform.margins_hold());
      CHECK(normal.margins_hold());
    }
  }
}

TEST_CASE("a captured draw reads the step again on each replay") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  constexpr std::int64_t kCount = 1000;
  DeviceArray<double> number(step_of(1));
  DeviceArray<double> uniform(kCount);
  DeviceArray<float> normal(kCount);
  const CapturedWork in_graph([&](Stream stream) {
    draw_uniform(kKey, number.get(), uniform.get(), kCount, stream);
    draw_normal(kKey, number.get(), normal.get(), kCount, stream);
  });
  for (const std::int64_t step : {5, 6, 1000000}) {
    number.set(step_of(step));
    uniform.poison();
    in_graph.run();
    wait_for_gpu();
    CHECK(same_bits(uniform.values(), draw_uniform_reference(kKey, step, kCount)));
    CHECK(are_near(normal.values(), draw_normal_reference(kKey, step, kCount)));
  }
}

TEST_CASE("a draw beyond the last place or without its arrays is refused") {
  const double step = 1.0;
  double out = 0.0;
  CHECK_THROWS_AS(draw_uniform(kKey, &step, &out, 967297, nullptr), BugError);
  CHECK_THROWS_AS(draw_uniform(kKey, &step, &out, -1, nullptr), BugError);
  CHECK_THROWS_AS(draw_normal(kKey, nullptr, nullptr, 5, nullptr), BugError);
}

}  // namespace regatta::kernels
