#include "regatta/kernels/layer_norm.hpp"

#include <cmath>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr Capability kH200 = {9, 0, 132, 232448};

std::vector<double> values(std::int64_t count, unsigned seed) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    out.push_back(static_cast<double>(seed >> 8U) / (1U << 23U) - 1.0);
  }
  return out;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

/// Compares the gradient of one kind of input, element by element, with differences of `loss`.
template <class Loss>
void check_slopes(LayerNormInputs inputs, std::vector<double> LayerNormInputs::*member,
                  const std::vector<double>& gradient, const Loss& loss) {
  constexpr double kStep = 1e-5;
  std::vector<double>& moved = inputs.*member;
  REQUIRE(moved.size() == gradient.size());
  for (std::size_t i = 0; i < moved.size(); ++i) {
    const double before = moved[i];
    moved[i] = before + kStep;
    const double more = loss(inputs);
    moved[i] = before - kStep;
    const double less = loss(inputs);
    moved[i] = before;
    CHECK(gradient[i] == Approx((more - less) / (2.0 * kStep)).epsilon(1e-5).margin(1e-7));
  }
}

void check_derivative(const LayerNormShape& shape, bool with_branch) {
  const std::int64_t channels = shape.row_channels();
  LayerNormInputs inputs = {values(shape.values(), 1), {}, {}, {}, values(channels, 4), values(channels, 5)};
  if (with_branch) {
    inputs.branch = values(shape.values(), 2);
    inputs.bias = values(channels, 3);
    inputs.factors = {0.0, 1.25};
  }
  const std::vector<double> out_gradient = values(shape.values(), 6);
  const std::vector<double> sum_gradient = with_branch ? values(shape.values(), 7) : std::vector<double>();
  const auto loss = [&](const LayerNormInputs& at) {
    const LayerNormResult result = layer_norm_reference(shape, at);
    return dot(result.out, out_gradient) + dot(result.sum, sum_gradient);
  };
  const LayerNormGradients found = layer_norm_gradient_reference(shape, inputs, out_gradient, sum_gradient);
  check_slopes(inputs, &LayerNormInputs::stream, found.to_sum, loss);
  check_slopes(inputs, &LayerNormInputs::weight, found.to_weight, loss);
  check_slopes(inputs, &LayerNormInputs::shift, found.to_shift, loss);
  if (with_branch) {
    check_slopes(inputs, &LayerNormInputs::branch, found.to_branch, loss);
    check_slopes(inputs, &LayerNormInputs::bias, found.to_bias, loss);
  }
}

}  // namespace

TEST_CASE("a token gets mean 0 and variance 1, then weight and shift") {
  const LayerNormShape shape = {{1, 1, 1, 2}, 8};
  LayerNormInputs inputs;
  inputs.stream = {1, 3, 1, 3, 1, 3, 1, 3, 7, 7, 7, 7, 7, 7, 7, 7};
  inputs.branch = {0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0, 4, 0, 4, 0};
  inputs.bias = std::vector<double>(8, 1.0);
  inputs.factors = {0.5};
  inputs.weight = std::vector<double>(8, 2.0);
  inputs.shift = std::vector<double>(8, 0.25);
  const LayerNormResult result = layer_norm_reference(shape, inputs);
  CHECK(result.sum[0] == 1.5);
  CHECK(result.sum[8] == 9.5);
  CHECK(result.sum[9] == 7.5);
  const double unit = 1.0 / std::sqrt(1.0 + 1e-5);
  CHECK(result.out[0] == Approx(-2.0 * unit + 0.25));
  CHECK(result.out[1] == Approx(2.0 * unit + 0.25));
  CHECK(result.out[8] == Approx(2.0 * unit + 0.25));
}

TEST_CASE("merged tokens lie side by side in Swin's order") {
  const LayerNormShape shape = {{2, 2, 4, 6}, 8, true};
  CHECK(shape.rows() == 2 * 1 * 2 * 3);
  const std::int64_t row = 1 * 6 + 1 * 3 + 2;  // sample 1, (0, 1, 2): tokens from (0, 2, 4) on
  const auto token = [](std::int64_t d, std::int64_t h, std::int64_t w) { return ((2 + d) * 4 + h) * 6 + w; };
  CHECK(layer_norm_place(shape, row, 3) == token(0, 2, 4) * 8 + 3);
  CHECK(layer_norm_place(shape, row, 8) == token(1, 2, 4) * 8);
  CHECK(layer_norm_place(shape, row, 16) == token(0, 3, 4) * 8);
  CHECK(layer_norm_place(shape, row, 24) == token(0, 2, 5) * 8);
  CHECK(layer_norm_place(shape, row, 32) == token(1, 3, 4) * 8);
  CHECK(layer_norm_place(shape, row, 40) == token(0, 3, 5) * 8);
  CHECK(layer_norm_place(shape, row, 48) == token(1, 2, 5) * 8);
  CHECK(layer_norm_place(shape, row, 63) == token(1, 3, 5) * 8 + 7);
}

TEST_CASE("the derivative of LayerNorm agrees with finite differences") {
  check_derivative({{2, 1, 1, 3}, 8}, true);
  check_derivative({{2, 2, 2, 2}, 8, true}, false);
}

TEST_CASE("there are kernels for LayerNorm of eights of channels, and for merging even grids") {
  CHECK(has_form(LayerNormShape{{1, 5, 6, 7}, 768}, kH200));
  CHECK(has_form(LayerNormShape{{1, 10, 12, 14}, 384, true}, kH200));
  CHECK_FALSE(has_form(LayerNormShape{{1, 5, 6, 7}, 768, true}, kH200));
  CHECK_FALSE(has_form(LayerNormShape{{1, 5, 6, 7}, 12}, kH200));
  CHECK_FALSE(has_form(LayerNormShape{{1, 10, 12, 14}, 2048, true}, kH200));
  CHECK_FALSE(has_form(LayerNormShape{{1, 5, 6, 7}, 96}, Capability{7, 5, 40, 65536}));
  CHECK_THROWS_AS(layer_norm_scratch_bytes({{1, 5, 6, 7}, 12}, kH200), BugError);
}

}  // namespace regatta::kernels
