#include "gpu/kernels/window_attention_case.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gpu/kernels/bf16_values.hpp"
#include "gpu/kernels/errors.hpp"

namespace regatta::kernels {
namespace {

constexpr std::int64_t kSomeWindows = 12;

std::vector<Bf16> scaled(std::int64_t count, float scale, std::uint64_t seed) {
  std::vector<Bf16> values(static_cast<std::size_t>(count));
  in_parallel(count, [&](std::int64_t i) { values[i] = to_bf16(scale * random_value(seed, i)); });
  return values;
}

std::vector<float> table_values(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] = random_value(seed, i);
  }
  return values;
}

std::int64_t width(const WindowAttention& shape) {
  return std::int64_t{shape.heads} * shape.head_size;
}

template <class T>
void append(std::vector<std::uint8_t>& bytes, const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
  bytes.insert(bytes.end(), begin, begin + values.size() * sizeof(T));
}

}  // namespace

WindowAttentionCase::WindowAttentionCase(const WindowAttention& shape, bool with_table, const Capability& chip,
                                         float scale, std::uint64_t seed)
    : shape_(shape),
      chip_(chip),
      with_table_(with_table),
      qkv_(scaled(shape.size.all() * 3 * width(shape), scale, seed)),
      to_out_(random_bf16(shape.size.all() * width(shape), seed + 1)),
      table_(table_values(std::int64_t{shape.table_rows()} * shape.heads, seed + 2)),
      device_qkv_(qkv_),
      device_to_out_(to_out_),
      device_table_(table_),
      out_(to_out_.size()),
      to_qkv_(qkv_.size()),
      kept_(window_attention_kept_bytes(shape) / sizeof(float)),
      to_table_(table_.size()),
      scratch_(window_attention_scratch_bytes(shape, chip)) {}

void WindowAttentionCase::queue_forward(bool keep, Stream stream) {
  WindowAttentionForward arrays;
  arrays.qkv = device_qkv_.get();
  arrays.table = with_table_ ? device_table_.get() : nullptr;
  arrays.out = out_.get();
  arrays.kept = keep ? kept_.get() : nullptr;
  window_attention_forward(shape_, arrays, chip_, stream);
}

void WindowAttentionCase::queue_backward(Stream stream) {
  WindowAttentionBackward arrays;
  arrays.qkv = device_qkv_.get();
  arrays.table = with_table_ ? device_table_.get() : nullptr;
  arrays.out = out_.get();
  arrays.kept = kept_.get();
  arrays.to_out = device_to_out_.get();
  arrays.to_qkv = to_qkv_.get();
  if (with_table_) {
    arrays.scratch = scratch_.get();
    arrays.to_table = to_table_.get();
  }
  window_attention_backward(shape_, arrays, chip_, stream);
}

void WindowAttentionCase::poison() {
  out_.poison();
  to_qkv_.poison();
  kept_.poison();
  to_table_.poison();
  scratch_.poison();
}

WindowAttentionCase::Errors WindowAttentionCase::check(bool all) {
  poison();
  queue_forward(true, nullptr);
  queue_backward(nullptr);
  wait_for_gpu();
  const std::int64_t windows = shape_.windows();
  const std::int64_t compared = all ? windows : std::min(windows, kSomeWindows);
  const std::int64_t heads = shape_.heads;
  const std::int64_t c = shape_.head_size;
  std::vector<WindowAttentionHead> wanted(static_cast<std::size_t>(compared * heads));
  const WindowAttentionInput input = {qkv_.data(), with_table_ ? table_.data() : nullptr, to_out_.data()};
  in_parallel(compared * heads, [&](std::int64_t i) {
    // the first, the last, and some between
    const std::int64_t window = compared < 2 ? 0 : i / heads * (windows - 1) / (compared - 1);
    wanted[i] = window_attention_reference(shape_, input, window, static_cast<int>(i % heads));
  });
  const std::vector<Bf16> out = out_.values();
  const std::vector<Bf16> to_qkv = to_qkv_.values();
  std::vector<double> got[4];
  std::vector<double> expected[4];
  std::vector<double> to_table(table_.size());
  for (std::int64_t i = 0; i < compared * heads; ++i) {
    const WindowAttentionHead& one = wanted[i];
    const std::int64_t head = i % heads;
    const std::vector<double>* parts[4] = {&one.out, &one.to_query, &one.to_key, &one.to_value};
    for (std::size_t at = 0; at < one.out.size(); ++at) {
      const std::int64_t token = one.tokens[at / static_cast<std::size_t>(c)];
      const std::int64_t channel = static_cast<std::int64_t>(at) % c;
      for (std::int64_t part = 0; part < 4 && token >= 0; ++part) {
        got[part].push_back(to_float(part == 0 ? out[(token * heads + head) * c + channel]
                                               : to_qkv[((token * 3 + part - 1) * heads + head) * c + channel]));
        expected[part].push_back((*parts[part])[at]);
      }
    }
    for (std::size_t row = 0; row < one.to_table.size(); ++row) {
      to_table[row * static_cast<std::size_t>(heads) + static_cast<std::size_t>(head)] += one.to_table[row];
    }
  }
  Errors errors = {relative_error(got[0], expected[0]), relative_error(got[1], expected[1]),
                   relative_error(got[2], expected[2]), relative_error(got[3], expected[3])};
  if (all && static_cast<std::int64_t>(got[0].size()) != shape_.size.all() * width(shape_)) {
    errors.out = std::numeric_limits<double>::infinity();
  }
  if (all && with_table_) {
    errors.to_table = relative_error(to_table_.values(), to_table);
  }
  return errors;
}

std::vector<std::uint8_t> WindowAttentionCase::results() const {
  std::vector<std::uint8_t> bytes;
  append(bytes, out_.values());
  append(bytes, to_qkv_.values());
  append(bytes, kept_.values());
  append(bytes, to_table_.values());
  return bytes;
}

bool WindowAttentionCase::repeats(const std::function<void()>& run) {
  const std::vector<std::uint8_t> before = results();
  poison();
  wait_for_gpu();
  run();
  wait_for_gpu();
  return same_bits(before, results());
}

bool WindowAttentionCase::inference_agrees() {
  const std::vector<Bf16> before = out_.values();
  out_.poison();
  queue_forward(false, nullptr);
  wait_for_gpu();
  return same_bits(before, out_.values());
}

bool WindowAttentionCase::margins_hold() const {
  return out_.margins_hold() && to_qkv_.margins_hold() && kept_.margins_hold() && to_table_.margins_hold() &&
         scratch_.margins_hold();
}

double WindowAttentionCase::forward_bytes() const {
  return 2.0 * static_cast<double>(qkv_.size() + to_out_.size());
}

double WindowAttentionCase::backward_bytes() const {
  return 2.0 * static_cast<double>(2 * qkv_.size() + 2 * to_out_.size());
}

double WindowAttentionCase::pairs() const {
  const auto tokens = static_cast<double>(shape_.window_tokens());
  return static_cast<double>(shape_.windows()) * tokens * tokens * static_cast<double>(width(shape_));
}

}  // namespace regatta::kernels
