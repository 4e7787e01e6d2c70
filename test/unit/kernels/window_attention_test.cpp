#include "regatta/kernels/window_attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

WindowAttention one_head(const VolumeSize& size, int head_size, bool rolled) {
  WindowAttention shape;
  shape.size = size;
  shape.heads = 1;
  shape.head_size = head_size;
  if (rolled) {
    shape.shift = {2, 3, 3};
  }
  return shape;
}

std::vector<Bf16> zeros(const WindowAttention& shape, int parts) {
  return std::vector<Bf16>(static_cast<std::size_t>(shape.size.all() * parts * shape.heads * shape.head_size), Bf16{0});
}

/// Multiples of 1/32 in [-1, 1]: exact in bf16, and so are their neighbours.
std::vector<float> steps(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525U + 1013904223U;
    value = static_cast<float>(static_cast<int>(seed >> 8U) % 33) / 32.0F;
  }
  return values;
}

std::vector<Bf16> rounded(const std::vector<float>& values) {
  std::vector<Bf16> result;
  for (const float value : values) {
    result.push_back(to_bf16(value));
  }
  return result;
}

/// All that finite differences need: a small window that does not divide its grid, rolled, two heads, two samples.
struct Small {
  WindowAttention shape;
  std::vector<float> qkv;
  std::vector<float> table;
  std::vector<Bf16> to_out;

  Small() {
    shape.size = {2, 3, 2, 5};
    shape.heads = 2;
    shape.head_size = 3;
    shape.window = {2, 2, 3};
    shape.shift = {1, 1, 1};
    const auto values = static_cast<std::size_t>(shape.size.all()) * 6;
    qkv = steps(3 * values, 1);
    table = steps(static_cast<std::size_t>(shape.table_rows()) * 2, 2);
    to_out = rounded(steps(values, 3));
  }

  /// Sum of all results, times their gradients.
  double total() const {
    const std::vector<Bf16> input = rounded(qkv);
    double sum = 0.0;
    for (std::int64_t window = 0; window < shape.windows(); ++window) {
      for (int head = 0; head < shape.heads; ++head) {
        const auto result = window_attention_reference(shape, {input.data(), table.data(), nullptr}, window, head);
        for (std::size_t i = 0; i < result.out.size(); ++i) {
          const std::int64_t token = result.tokens[i / 3];
          if (token >= 0) {
            sum += result.out[i] * to_float(to_out[static_cast<std::size_t>(token * 6 + head * 3) + i % 3]);
          }
        }
      }
    }
    return sum;
  }

  double slope(float& value, float step) {
    const float before = value;
    value = before + step;
    const double above = total();
    value = before - step;
    const double below = total();
    value = before;
    return (above - below) / (2.0 * step);
  }
};

Capability h200() {
  return {9, 0, 132, std::size_t{227} << 10};
}

}  // namespace

TEST_CASE("equal queries and keys give the mean of a window's values, padded tokens counted") {
  for (const std::int64_t depth : {5, 3}) {
    const WindowAttention shape = one_head({1, depth, 6, 7}, 2, false);
    std::vector<Bf16> qkv = zeros(shape, 3);
    for (std::size_t token = 0; token < static_cast<std::size_t>(shape.size.all()); ++token) {
      qkv[token * 6 + 4] = to_bf16(2.0F);
    }
    CHECK(shape.windows() == 1);
    const auto result = window_attention_reference(shape, {qkv.data(), nullptr, nullptr}, 0, 0);
    for (std::size_t i = 0; i < result.tokens.size(); ++i) {
      const bool inside = static_cast<std::int64_t>(i) < depth * 42;
      CHECK(result.tokens[i] == (inside ? static_cast<std::int64_t>(i) : -1));
      CHECK(result.out[2 * i] == Approx(inside ? 2.0 * static_cast<double>(depth) / 5.0 : 0.0));
      CHECK(result.out[2 * i + 1] == 0.0);
    }
  }
}

TEST_CASE("the table's row is that of the key's place as seen from the query, last axis fastest") {
  const WindowAttention shape = one_head({1, 5, 6, 7}, 1, false);
  std::vector<Bf16> qkv = zeros(shape, 3);
  for (std::size_t token = 0; token < 210; ++token) {
    qkv[token * 3 + 2] = to_bf16(static_cast<float>(token));  // its own number: exact to 255
  }
  // the query lies one plane behind, two rows before and three columns behind the key
  std::vector<float> table(static_cast<std::size_t>(shape.table_rows()), 0.0F);
  table[((1 + 4) * 11 + (-2 + 5)) * 13 + 3 + 6] = 60.0F;
  const auto result = window_attention_reference(shape, {qkv.data(), table.data(), nullptr}, 0, 0);
  const int query = (2 * 6 + 1) * 7 + 4;
  const int key = (1 * 6 + 3) * 7 + 1;
  CHECK(result.out[query] == Approx(key));
  CHECK(result.out[0] == Approx(104.5));  // no such key: the mean
}

TEST_CASE("a rolled grid is cut half a window further, and what the roll brought together stays apart") {
  const WindowAttention shape = one_head({2, 10, 12, 14}, 1, true);
  CHECK(shape.windows() == 16);
  std::vector<Bf16> qkv = zeros(shape, 3);
  for (std::size_t token = 0; token < qkv.size() / 3; ++token) {
    qkv[token * 3 + 2] = to_bf16(token / 168 % 10 < 5 ? 1.0F : 3.0F);  // by the plane
  }
  const auto inner = window_attention_reference(shape, {qkv.data(), nullptr, nullptr}, 8, 0);  // of sample 1
  CHECK(inner.tokens[0] == ((1 * 10 + 2) * 12 + 3) * 14 + 3);
  CHECK(inner.tokens[209] == ((1 * 10 + 6) * 12 + 8) * 14 + 9);
  CHECK(inner.out[0] == Approx(1.8));  // planes 2, 3, 4 and 5, 6
  const auto outer = window_attention_reference(shape, {qkv.data(), nullptr, nullptr}, 7, 0);
  CHECK(outer.tokens[0] == (7 * 12 + 9) * 14 + 10);
  CHECK(outer.tokens[209] == (1 * 12 + 2) * 14 + 2);  // around all three ends
  CHECK(outer.out[0] == Approx(3.0));                 // planes 7, 8, 9 alone
  CHECK(outer.out[209] == Approx(1.0));
}

TEST_CASE("one shift of zero leaves the grid as it is") {
  WindowAttention shape = one_head({1, 2, 4, 4}, 1, false);
  shape.window = {1, 2, 2};
  shape.shift = {0, 1, 1};
  const std::vector<Bf16> qkv = zeros(shape, 3);
  CHECK(window_attention_reference(shape, {qkv.data(), nullptr, nullptr}, 0, 0).tokens ==
        std::vector<std::int64_t>{0, 1, 4, 5});
}

TEST_CASE("gradients of window attention agree with finite differences") {
  Small small;
  const std::vector<Bf16> input = rounded(small.qkv);
  std::vector<double> to_qkv(small.qkv.size());
  std::vector<double> to_table(small.table.size());
  for (std::int64_t window = 0; window < small.shape.windows(); ++window) {
    for (int head = 0; head < 2; ++head) {
      const auto result = window_attention_reference(
          small.shape, {input.data(), small.table.data(), small.to_out.data()}, window, head);
      for (std::size_t i = 0; i < result.out.size(); ++i) {
        if (result.tokens[i / 3] >= 0) {
          double* to = &to_qkv[static_cast<std::size_t>(result.tokens[i / 3] * 18 + head * 3) + i % 3];
          to[0] += result.to_query[i];
          to[6] += result.to_key[i];
          to[12] += result.to_value[i];
        } else {
          CHECK(result.to_key[i] == 0.0);
        }
      }
      for (std::size_t row = 0; row < result.to_table.size(); ++row) {
        to_table[row * 2 + static_cast<std::size_t>(head)] += result.to_table[row];
      }
    }
  }
  for (std::size_t i = 0; i < to_qkv.size(); i += 7) {
    INFO("value " << i);
    CHECK(to_qkv[i] == Approx(small.slope(small.qkv[i], 1.0F / 32.0F)).epsilon(2e-3).margin(2e-4));
  }
  for (std::size_t i = 0; i < to_table.size(); ++i) {
    INFO("table " << i);
    CHECK(to_table[i] == Approx(small.slope(small.table[i], 1e-2F)).epsilon(1e-3).margin(1e-4));
  }
}

TEST_CASE("window attention has forms for the networks' windows and heads, and refuses what it does not know") {
  const VolumeSize grid = {1, 40, 48, 56};
  for (const int head_size : {8, 12, 16, 24, 32, 48, 64, 96, 128}) {
    const bool known =
        head_size == 12 || head_size == 24 || head_size == 32 || head_size == 48 || head_size == 64 || head_size == 96;
    CHECK(has_form(one_head(grid, head_size, false), h200()) == known);
    CHECK(has_form(one_head(grid, head_size, true), {8, 6, 84, std::size_t{99} << 10}) == known);
  }
  WindowAttention shape = one_head(grid, 24, true);
  shape.heads = 4;
  CHECK_FALSE(has_form(shape, {7, 5, 40, std::size_t{64} << 10}));
  CHECK(shape.windows() == 512);
  CHECK(window_attention_kept_bytes(shape) == 512U * 4 * 210 * 4);
  CHECK(window_attention_scratch_bytes(shape, h200()) >= 512U * 4 * 1287 * 4);
  CHECK(window_attention_scratch_bytes(shape, h200()) % 16 == 0);
  CHECK_THROWS_AS(window_attention_forward(shape, {}, h200(), nullptr), BugError);
  CHECK_THROWS_AS(window_attention_backward(shape, {}, h200(), nullptr), BugError);
  shape.shift = {0, 3, 3};
  CHECK_FALSE(has_form(shape, h200()));
  shape = one_head(grid, 24, false);
  shape.window = {5, 7, 7};
  CHECK_FALSE(has_form(shape, h200()));
  CHECK_THROWS_AS(window_attention_scratch_bytes(shape, h200()), BugError);
}

}  // namespace regatta::kernels
