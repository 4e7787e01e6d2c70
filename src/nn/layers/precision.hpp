// Where layers leave the 16-bit type of the fast backend's activations.
#pragma once

#include <ATen/core/Tensor.h>

namespace regatta {

/// bf16 as float32; float32 and float64 as they are.
inline at::Tensor as_wide(const at::Tensor& values) {
  return values.scalar_type() == at::kBFloat16 ? values.to(at::kFloat) : values;
}

}  // namespace regatta
