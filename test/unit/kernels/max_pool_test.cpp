#include "regatta/kernels/max_pool.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr Capability kH200 = {9, 0, 132, 232448};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<Bf16> rounded(const std::vector<float>& values) {
  std::vector<Bf16> out;
  for (const float value : values) {
    out.push_back(to_bf16(value));
  }
  return out;
}

/// One block of one channel.
std::vector<double> gradient_of(const std::vector<float>& block, float slope) {
  const std::vector<Bf16> in = rounded(block);
  const Bf16 arriving = to_bf16(3.0F);
  MaxPoolBackward arrays;
  arrays.in = in.data();
  arrays.output_gradient = &arriving;
  arrays.slope = slope;
  return max_pool_gradient_reference({{1, 2, 2, 2}, 1}, arrays);
}

}  // namespace

TEST_CASE("maxima of 2x2x2 blocks; of odd sizes the last plane, row and column are left out") {
  const MaxPoolShape shape = {{1, 3, 2, 5}, 2};
  std::vector<float> values(60);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = i % 2 == 0 ? static_cast<float>(i) : -static_cast<float>(i);
  }
  const std::vector<Bf16> in = rounded(values);
  const std::vector<float> out = max_pool_reference(shape, in.data());
  // channel 0 grows with the place, channel 1 falls: the last and the first of the block at w = 0 and 2
  CHECK(out == std::vector<float>{2.0F * 16, -1.0F, 2.0F * 18, -5.0F});
}

TEST_CASE("the derivative goes to the first maximum, in the order d, h, w") {
  CHECK(gradient_of({1, 5, 2, 5, 5, 0, 1, 2}, 1.0F) == std::vector<double>{0, 3, 0, 0, 0, 0, 0, 0});
  CHECK(gradient_of({1, 1, 1, 1, 1, 1, 1, 1}, 1.0F) == std::vector<double>{3, 0, 0, 0, 0, 0, 0, 0});
  CHECK(gradient_of({0, 1, 2, 3, 4, 5, 6, 7}, 0.5F) == std::vector<double>{0, 0, 0, 0, 0, 0, 0, 3});
  CHECK(gradient_of({-4, -1, -2, -3, -4, -5, -6, -7}, 0.5F) == std::vector<double>{0, 1.5, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("a NaN is the maximum, and the last one takes the derivative") {
  const std::vector<Bf16> in = rounded({1, kNan, 2, kNan, 9, 0, 1, 2});
  CHECK(std::isnan(max_pool_reference({{1, 2, 2, 2}, 1}, in.data())[0]));
  CHECK(gradient_of({1, kNan, 2, kNan, 9, 0, 1, 2}, 1.0F) == std::vector<double>{0, 0, 0, 3, 0, 0, 0, 0});
}

TEST_CASE("what other readers of the pooled features give is added") {
  const std::vector<Bf16> in = rounded({0, -1, 7, 3, 4, 5, 6, 2, 9, 9, 9, 9});
  const std::vector<Bf16> others = rounded({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const Bf16 arriving = to_bf16(100.0F);
  MaxPoolBackward arrays;
  arrays.in = in.data();
  arrays.output_gradient = &arriving;
  arrays.others = others.data();
  // rows of three: 7 is in the column that is left out, 9 the first maximum
  const std::vector<double> gradient = max_pool_gradient_reference({{1, 2, 2, 3}, 1}, arrays);
  CHECK(gradient == std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9, 110, 11, 12});
}

TEST_CASE("maxima have kernels for multiples of 8 channels and axes of at least 2") {
  CHECK(has_form(MaxPoolShape{{2, 13, 17, 19}, 24}, kH200));
  CHECK_FALSE(has_form(MaxPoolShape{{2, 13, 17, 19}, 12}, kH200));
  CHECK_FALSE(has_form(MaxPoolShape{{2, 13, 1, 19}, 24}, kH200));
  CHECK_FALSE(has_form(MaxPoolShape{{2, 13, 17, 19}, 24}, Capability{7, 5, 68, 65536}));
}

}  // namespace regatta::kernels
