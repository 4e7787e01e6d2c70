// Random numbers of a training that are drawn on the device, from the step's number there: a captured step draws other
// ones each time.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "regatta/nn/model.hpp"

namespace regatta::fast {

/// Whether the draw's step is on the device.
bool draws_on_device(const TrainingDraw& draw);

/// What decides which samples drop a branch: the same numbers as on the host, CounterRng(seed, kDropout) at (step,
/// first + i). @return [count] float64. Requires `draws_on_device`
at::Tensor dropout_uniform(const TrainingDraw& draw, std::uint32_t first, std::int64_t count);

/// Standard normal numbers in the shape of `tensor`, contiguous float32. Requires `draws_on_device`
at::Tensor normal_like(const at::Tensor& tensor, const TrainingDraw& draw, std::uint32_t stream);

}  // namespace regatta::fast
