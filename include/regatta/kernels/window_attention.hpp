// Multi-head self-attention within shifted windows of a grid of tokens, as Swin transformers have it, in bf16 with fp32
// sums. Tokens are read and written where they are: rolling, padding, partition, mask and bias cost no pass.
//
// As the reference network does it (nn's swin.cpp), in the order of its steps: tokens are padded with zeros at the far
// end of each axis to whole windows; with all three shifts above 0, the padded grid is rolled by -shift; windows are
// cut. Within a window, logits are q k' c^-1/2 + table[relative place] - 100 where two tokens were no neighbours before
// the roll, and results are softmax(logits) v. Padded tokens have q = k = v = 0 and take part as keys; their results
// are dropped.
//
// Every function returns after queuing, allocates nothing, reads nothing on the host and may be captured in a graph.
// Deterministic: integer atomics within a block, all other sums in a fixed order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "regatta/kernels/bf16.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/kernels/volume_size.hpp"

namespace regatta::kernels {

struct WindowAttention {
  VolumeSize size;  ///< of the grid of tokens, before padding
  int heads = 0;
  int head_size = 0;  ///< channels of a head, c
  std::array<int, 3> window = {5, 6, 7};
  std::array<int, 3> shift = {0, 0, 0};  ///< of each axis, half a window; the grid is rolled if all are above 0

  bool rolled() const { return shift[0] > 0 && shift[1] > 0 && shift[2] > 0; }
  int window_tokens() const { return window[0] * window[1] * window[2]; }
  int table_rows() const { return (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1); }
  std::int64_t windows() const;  ///< of the whole batch
};

/// Whether there are kernels for forward and backward: windows of 5x6x7 tokens, shifted by nothing or by 2, 3, 3, heads
/// of 12, 24, 32, 48, 64 or 96 channels, below 2^31 tokens, at most 65535 heads and 65535 windows.
bool has_form(const WindowAttention& shape, const Capability& chip);

/// Bytes of what forward keeps for backward beside its arguments: a logarithm of a sum for each token and head. Its
/// order is the kernels' own.
std::size_t window_attention_kept_bytes(const WindowAttention& shape);

struct WindowAttentionForward {
  const Bf16* qkv = nullptr;     ///< [n, d, h, w, 3, heads, c], aligned to 16 bytes: query, key, value, not scaled
  const float* table = nullptr;  ///< [table_rows, heads]; nullptr: no bias
  Bf16* out = nullptr;           ///< [n, d, h, w, heads, c], aligned to 16 bytes
  float* kept = nullptr;         ///< window_attention_kept_bytes; nullptr: not wanted (inference)
};

/// @throws BugError without a form or with a missing pointer; DeviceError if the launch fails
void window_attention_forward(const WindowAttention& shape, const WindowAttentionForward& arrays,
                              const Capability& chip, Stream stream);

/// Bytes of the scratch of window_attention_backward, aligned to 16. @throws BugError without a form
std::size_t window_attention_scratch_bytes(const WindowAttention& shape, const Capability& chip);

struct WindowAttentionBackward {
  const Bf16* qkv = nullptr;     ///< as forward got it
  const float* table = nullptr;  ///< likewise
  const Bf16* out = nullptr;     ///< what forward gave
  const float* kept = nullptr;   ///< likewise
  const Bf16* to_out = nullptr;  ///< gradient of the output, [n, d, h, w, heads, c], aligned to 16 bytes
  void* scratch = nullptr;       ///< window_attention_scratch_bytes; not needed without to_table
  Bf16* to_qkv = nullptr;        ///< gradient, as qkv; every value is written, once
  float* to_table = nullptr;     ///< gradient [table_rows, heads], written, not added to; nullptr: not wanted
};

/// @throws BugError without a form, with a missing pointer or with to_table and no table; DeviceError if a launch fails
void window_attention_backward(const WindowAttention& shape, const WindowAttentionBackward& arrays,
                               const Capability& chip, Stream stream);

// The same on the CPU, one head of one window at a time, float64 inside, host pointers, any window and shift.

struct WindowAttentionInput {
  const Bf16* qkv = nullptr;
  const float* table = nullptr;
  const Bf16* to_out = nullptr;  ///< nullptr: no gradients
};

/// [token of the window][c]; 0 for padded tokens in what is a gradient.
struct WindowAttentionHead {
  std::vector<std::int64_t> tokens;  ///< of the window, as numbers within [n, d, h, w]; -1: padding
  std::vector<double> out;
  std::vector<double> to_query;
  std::vector<double> to_key;
  std::vector<double> to_value;
  std::vector<double> to_table;  ///< [table_rows]: this window's share of the head's column
};

/// @param window  0 to windows() - 1: sample by sample, of each the last axis fastest
WindowAttentionHead window_attention_reference(const WindowAttention& shape, const WindowAttentionInput& arrays,
                                               std::int64_t window, int head);

}  // namespace regatta::kernels
