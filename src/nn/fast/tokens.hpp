// Tokens of the fast backend: products by cuBLAS in bf16, what lies between them by our kernels.
#pragma once

#include <utility>

#include <ATen/core/Tensor.h>

namespace regatta::fast {

/// tokens [..., in] times weight [out, in] transposed, without a bias. The weight's gradient is float32 as the product
/// gives it, not rounded to bf16 first. On the GPU or without data.
/// @return [..., out] bf16
at::Tensor product(const at::Tensor& tokens, const at::Tensor& weight);

/// What a norm reads: `stream` + factor (`branch` + `bias`), each of which may be missing.
struct NormInput {
  at::Tensor stream;   ///< [N, D, H, W, C] float32
  at::Tensor branch;   ///< [N, D, H, W, C] bf16
  at::Tensor bias;     ///< [C] float32
  at::Tensor factors;  ///< [N] float32
};

/// Whether our kernels normalise tokens [N, D, H, W, C] over C, or over 8 C of 2x2x2 of them.
bool has_layer_norm(const at::Tensor& tokens, bool merge = false);

/// @param wide  the result is float32, otherwise bf16
/// @return the sum, float32, and what it gives normalised
std::pair<at::Tensor, at::Tensor> layer_norm(const NormInput& input, const at::Tensor& weight, const at::Tensor& shift,
                                             bool wide);

/// 2x2x2 tokens side by side, normalised: [N, D, H, W, C] float32 -> [N, D/2, H/2, W/2, 8 C] bf16
at::Tensor merged_layer_norm(const at::Tensor& tokens, const at::Tensor& weight, const at::Tensor& shift);

/// Whether our kernels have GELU of tokens [..., C].
bool has_gelu(const at::Tensor& tokens);

/// @param bias  [C] float32, added before; undefined: none
at::Tensor gelu(const at::Tensor& tokens, const at::Tensor& bias);

}  // namespace regatta::fast
