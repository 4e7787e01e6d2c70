// What callers see of window attention: sizes, checks and calls.
#include "regatta/kernels/window_attention.hpp"

#include <algorithm>

#include "kernels/window_attention/form.hpp"
#include "regatta/base/error.hpp"

namespace regatta::kernels {
namespace {

using attention::kRows;
using attention::kTokens;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

void require_form(const WindowAttention& shape, const Capability& chip) {
  REGATTA_REQUIRE(has_form(shape, chip), BugError, "window attention of ", shape.heads, " heads of ", shape.head_size,
                  " channels, window ", shape.window[0], " ", shape.window[1], " ", shape.window[2], ": no kernel");
}

void require(bool given, const char* what) {
  REGATTA_REQUIRE(given, BugError, "window attention: no ", what);
}

/// Few windows are shared by several blocks each, so that every multiprocessor has work.
int parts(const WindowAttention& shape, const Capability& chip) {
  const std::int64_t blocks = shape.windows() * shape.heads;
  return blocks < chip.multiprocessors ? 2 : 1;
}

attention::Call call_of(const WindowAttention& shape, const Capability& chip) {
  attention::Call call;
  call.d = static_cast<int>(shape.size.d);
  call.h = static_cast<int>(shape.size.h);
  call.w = static_cast<int>(shape.size.w);
  call.heads = shape.heads;
  call.rolled = shape.rolled();
  call.windows = static_cast<int>(shape.windows());
  call.parts = parts(shape, chip);
  call.across = attention::Divider(static_cast<unsigned>(divide_up(shape.size.w, shape.window[2])));
  call.down = attention::Divider(static_cast<unsigned>(divide_up(shape.size.h, shape.window[1])));
  call.deep = attention::Divider(static_cast<unsigned>(divide_up(shape.size.d, shape.window[0])));
  return call;
}

}  // namespace

std::int64_t WindowAttention::windows() const {
  return size.n * divide_up(size.d, window[0]) * divide_up(size.h, window[1]) * divide_up(size.w, window[2]);
}

bool has_form(const WindowAttention& shape, const Capability& chip) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  constexpr std::int64_t kMostBlocks = 65535;
  const VolumeSize& size = shape.size;
  const bool sound = size.n > 0 && size.d > 0 && size.h > 0 && size.w > 0 && shape.heads > 0 && size.all() < kMost &&
                     shape.heads <= kMostBlocks && shape.windows() <= kMostBlocks;
  const bool window = shape.window == std::array<int, 3>{attention::kDepth, attention::kHeight, attention::kWidth};
  const bool shift =
      shape.shift == std::array<int, 3>{} ||
      shape.shift == std::array<int, 3>{attention::kDepth / 2, attention::kHeight / 2, attention::kWidth / 2};
  const auto* const sizes = std::begin(attention::kHeadSizes);
  const bool head =
      std::find(sizes, std::end(attention::kHeadSizes), shape.head_size) != std::end(attention::kHeadSizes);
  return chip.usable() && sound && window && shift && head &&
         attention::shared_bytes(shape.head_size) <= chip.shared_bytes;
}

std::size_t window_attention_kept_bytes(const WindowAttention& shape) {
  return sizeof(float) * static_cast<std::size_t>(shape.windows() * shape.heads * shape.window_tokens());
}

void window_attention_forward(const WindowAttention& shape, const WindowAttentionForward& arrays,
                              const Capability& chip, Stream stream) {
  require_form(shape, chip);
  require(arrays.qkv != nullptr && arrays.out != nullptr, "input or output");
  attention::Call call = call_of(shape, chip);
  call.qkv = arrays.qkv;
  call.table = arrays.table;
  call.to = arrays.out;
  call.kept = arrays.kept;
  attention::launch_forward(shape.head_size, call, stream);
}

std::size_t window_attention_scratch_bytes(const WindowAttention& shape, const Capability& chip) {
  require_form(shape, chip);
  const std::int64_t blocks = shape.windows() * shape.heads * parts(shape, chip);
  return sizeof(float) * static_cast<std::size_t>((blocks * kRows + 3) / 4 * 4);
}

void window_attention_backward(const WindowAttention& shape, const WindowAttentionBackward& arrays,
                               const Capability& chip, Stream stream) {
  require_form(shape, chip);
  require(arrays.qkv != nullptr && arrays.out != nullptr && arrays.kept != nullptr, "input or result of forward");
  require(arrays.to_out != nullptr && arrays.to_qkv != nullptr, "gradient");
  require(arrays.to_table == nullptr || (arrays.table != nullptr && arrays.scratch != nullptr), "table or scratch");
  attention::Call call = call_of(shape, chip);
  call.qkv = arrays.qkv;
  call.table = arrays.table;
  call.kept = const_cast<float*>(arrays.kept);
  call.out = arrays.out;
  call.to_out = arrays.to_out;
  call.to = arrays.to_qkv;
  call.partial = arrays.to_table == nullptr ? nullptr : static_cast<float*>(arrays.scratch);
  call.to_table = arrays.to_table;
  attention::launch_backward(shape.head_size, call, stream);
}

}  // namespace regatta::kernels
