// Activation checkpointing: parts of a network that keep only their input and are run again for the backward pass.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace regatta {

/// `part(input)`. Without gradients wanted, or with `on` false, just that. Otherwise nothing inside is kept: the
/// backward pass runs the part again, so it must give the same result then (dropout drawn from the step does).
/// Parameters used inside get their gradients.
at::Tensor recomputed(bool on, const at::Tensor& input, const std::function<at::Tensor(const at::Tensor&)>& part);

}  // namespace regatta
