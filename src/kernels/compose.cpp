#include <algorithm>

#include "kernels/compose_scratch.hpp"

namespace regatta::kernels {

std::size_t compose_backward_scratch_bytes(const VolumeSize& size) {
  return sums_offset(size) + fixed_bytes(size);
}

std::size_t squaring_field_bytes(const VolumeSize& size, int steps, FieldStore store, bool keep) {
  const int fields = keep ? steps - 1 : std::min(steps - 1, 2);
  return static_cast<std::size_t>(std::max(fields, 0)) * stored_bytes(size, store);
}

std::size_t squaring_backward_scratch_bytes(const VolumeSize& size, bool packed) {
  return sums_offset(size) + (packed ? 2 : 1) * fixed_bytes(size);
}

}  // namespace regatta::kernels
