// Multiplications-and-additions of the layers, counted where they are done: while a `WorkCount` lives, every layer that
// runs in its thread adds to it. On tensors without data (the Meta device) that costs nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include "regatta/nn/work.hpp"

namespace regatta {

void count_convolution(const at::Tensor& weight, const at::Tensor& output);
void count_transposed_convolution(const at::Tensor& weight, const at::Tensor& input, const at::Tensor& output);

/// @param input  [..., in]
void count_linear(const at::Tensor& weight, const at::Tensor& input);

/// Products of queries with keys, and of their weights with values.
void count_attention(double mul_adds);

}  // namespace regatta
