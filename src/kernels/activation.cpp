// Sizes that callers ask for, with and without CUDA kernels.
#include "regatta/kernels/activation.hpp"

#include <algorithm>

#include "kernels/activation_form.hpp"

namespace regatta::kernels {

bool has_activation(const ActivationShape& shape, const Capability& chip) {
  return chip.usable() && shape.voxels > 0 && shape.channels > 0 && shape.channels % 8 == 0 &&
         shape.channels <= activation::kMostChannels;
}

std::size_t activation_scratch_bytes(const ActivationShape& shape, const Capability& chip) {
  return sizeof(float) * activation::sum_blocks(chip) * static_cast<std::size_t>(std::max(shape.channels, 8));
}

}  // namespace regatta::kernels
