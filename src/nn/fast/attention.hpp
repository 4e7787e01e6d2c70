// Attention within shifted windows of the fast backend, from tokens where they are: no rolling, no partition.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/layers/transformer.hpp"

namespace regatta::fast {

/// Whether our kernels attend within these windows of these tokens.
/// @param tokens  [N, D, H, W, h c]
bool has_window_attention(const at::Tensor& tokens, const TokenWindows& windows);

/// @param qkv    [N, D, H, W, 3 h c]
/// @param table  [rows of the relative places, h] float32; undefined: no bias
/// @return [N, D, H, W, h c] bf16
at::Tensor window_attention(const at::Tensor& qkv, const at::Tensor& table, const TokenWindows& windows);

}  // namespace regatta::fast
