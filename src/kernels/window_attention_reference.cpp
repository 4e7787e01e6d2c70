// Window attention step by step as the network is written: pad, roll, partition, softmax.
#include <algorithm>
#include <cmath>

#include "regatta/kernels/window_attention.hpp"

namespace regatta::kernels {
namespace {

using Place = std::array<std::int64_t, 3>;

constexpr double kOtherRegion = -100.0;

/// A token of a window.
struct Token {
  Place in_window{};
  std::int64_t number = -1;  ///< within [n, d, h, w]; -1: padding
  int region = 0;            ///< tokens of different regions were no neighbours before the roll
};

Token token_at(const WindowAttention& shape, std::int64_t window, int index) {
  const Place grid = {shape.size.d, shape.size.h, shape.size.w};
  Place windows{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    windows[axis] = (grid[axis] + shape.window[axis] - 1) / shape.window[axis];
  }
  const std::int64_t sample = window / (windows[0] * windows[1] * windows[2]);
  const Place cut = {window / (windows[1] * windows[2]) % windows[0], window / windows[2] % windows[1],
                     window % windows[2]};
  Token token;
  token.in_window = {index / (shape.window[1] * shape.window[2]), index / shape.window[2] % shape.window[1],
                     index % shape.window[2]};
  token.number = sample;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t padded = windows[axis] * shape.window[axis];
    const std::int64_t rolled = cut[axis] * shape.window[axis] + token.in_window[axis];
    const std::int64_t shift = shape.rolled() ? shape.shift[axis] : 0;
    const std::int64_t place = (rolled + shift) % padded;
    const bool inside = token.number >= 0 && place < grid[axis];
    token.number = inside ? token.number * grid[axis] + place : -1;
    if (shape.rolled()) {
      const int part = rolled < padded - shape.window[axis] ? 0 : rolled < padded - shift ? 1 : 2;
      token.region = token.region * 3 + part;
    }
  }
  return token;
}

/// Row of the table for a query and a key.
std::int64_t table_row(const WindowAttention& shape, const Token& query, const Token& key) {
  std::int64_t row = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    row = row * (2 * shape.window[axis] - 1) + query.in_window[axis] - key.in_window[axis] + shape.window[axis] - 1;
  }
  return row;
}

/// Values of one head for the tokens of a window, zeros for padded ones. [token][c]
std::vector<double> gather(const std::vector<Token>& tokens, const Bf16* values, std::int64_t pitch,
                           std::int64_t offset, int c) {
  std::vector<double> result;
  for (const Token& token : tokens) {
    for (int i = 0; i < c; ++i) {
      result.push_back(token.number < 0 ? 0.0 : to_float(values[token.number * pitch + offset + i]));
    }
  }
  return result;
}

void clear_padding(const std::vector<Token>& tokens, std::vector<double>& values, std::size_t c) {
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (tokens[t].number < 0) {
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(t * c), c, 0.0);
    }
  }
}

double dot(const double* a, const double* b, std::size_t c) {
  double sum = 0.0;
  for (std::size_t i = 0; i < c; ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

/// to += factor * from
void add(double* to, double factor, const double* from, std::size_t c) {
  for (std::size_t i = 0; i < c; ++i) {
    to[i] += factor * from[i];
  }
}

void soften(std::vector<double>& logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (double& value : logits) {
    value = std::exp(value - most);
    sum += value;
  }
  for (double& value : logits) {
    value /= sum;
  }
}

}  // namespace

WindowAttentionHead window_attention_reference(const WindowAttention& shape, const WindowAttentionInput& arrays,
                                               std::int64_t window, int head) {
  const auto n = static_cast<std::size_t>(shape.window_tokens());
  const auto c = static_cast<std::size_t>(shape.head_size);
  std::vector<Token> tokens;
  WindowAttentionHead result;
  for (int i = 0; i < shape.window_tokens(); ++i) {
    tokens.push_back(token_at(shape, window, i));
    result.tokens.push_back(tokens.back().number);
  }
  const std::int64_t width = std::int64_t{shape.heads} * shape.head_size;
  const std::int64_t offset = std::int64_t{head} * shape.head_size;
  const auto query = gather(tokens, arrays.qkv, 3 * width, offset, shape.head_size);
  const auto key = gather(tokens, arrays.qkv, 3 * width, width + offset, shape.head_size);
  const auto value = gather(tokens, arrays.qkv, 3 * width, 2 * width + offset, shape.head_size);
  const bool backward = arrays.to_out != nullptr;
  const auto to_out = backward ? gather(tokens, arrays.to_out, width, offset, shape.head_size) : std::vector<double>();
  const double scale = 1.0 / std::sqrt(static_cast<double>(c));

  result.out.assign(n * c, 0.0);
  if (backward) {
    result.to_query = result.to_key = result.to_value = result.out;
    result.to_table.assign(static_cast<std::size_t>(shape.table_rows()), 0.0);
  }
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> weights(n);
    for (std::size_t j = 0; j < n; ++j) {
      const double bias =
          arrays.table == nullptr ? 0.0 : arrays.table[table_row(shape, tokens[i], tokens[j]) * shape.heads + head];
      const double apart = tokens[i].region == tokens[j].region ? 0.0 : kOtherRegion;
      weights[j] = dot(&query[i * c], &key[j * c], c) * scale + bias + apart;
    }
    soften(weights);
    for (std::size_t j = 0; j < n; ++j) {
      add(&result.out[i * c], weights[j], &value[j * c], c);
    }
    if (!backward) {
      continue;
    }
    const double mean = dot(&to_out[i * c], &result.out[i * c], c);  // of the weights' gradients, by the weights
    for (std::size_t j = 0; j < n; ++j) {
      const double to_logit = weights[j] * (dot(&to_out[i * c], &value[j * c], c) - mean);
      add(&result.to_query[i * c], to_logit * scale, &key[j * c], c);
      add(&result.to_key[j * c], to_logit * scale, &query[i * c], c);
      add(&result.to_value[j * c], weights[j], &to_out[i * c], c);
      result.to_table[static_cast<std::size_t>(table_row(shape, tokens[i], tokens[j]))] += to_logit;
    }
  }
  for (std::vector<double>* values : {&result.out, &result.to_query, &result.to_key, &result.to_value}) {
    if (!values->empty()) {
      clear_padding(tokens, *values, c);
    }
  }
  return result;
}

}  // namespace regatta::kernels
