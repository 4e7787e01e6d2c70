// A scalar whose derivative was computed together with it: one autograd node instead of a graph of small operators.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// True if a derivative with respect to `input` will be asked for.
bool needs_gradient(const at::Tensor& input);

/// `value`, with `gradient` added to its derivative with respect to `input`. Calls may be chained, one per input.
/// @param value     scalar; may itself depend on other inputs
/// @param gradient  same shape as `input`
/// First derivatives only: the second derivative of the result is taken as zero.
at::Tensor with_gradient(const at::Tensor& value, const at::Tensor& input, const at::Tensor& gradient);

}  // namespace regatta
