// Random fields of a training, part of the vocabulary of layers.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "regatta/nn/model.hpp"

namespace regatta {

/// Standard normal numbers in the shape, precision and device of `tensor`, contiguous.
/// A pure function of draw and stream on one kind of device: LibTorch's own generator, a private copy of it, seeded
/// from both; where the step's number is on the device, our kernel. No shared generator moves.
/// @param stream  number of the draw within a forward pass
at::Tensor normal_like(const at::Tensor& tensor, const TrainingDraw& draw, std::uint32_t stream);

}  // namespace regatta
