#include "nn/ops/box_sum.hpp"

#include <ATen/ops/add.h>
#include <ATen/ops/zeros.h>

namespace regatta {
namespace {

/// out[i] = x[i] + ... + x[i + window - 1] along one axis. Sums over 1, 2, 4, ... neighbours are made from each other
/// and those in the binary form of `window` are added up: four additions a voxel for 9 neighbours, without the drift of
/// a running sum.
at::Tensor axis_sum(const at::Tensor& x, std::int64_t axis, std::int64_t window) {
  const std::int64_t size = x.size(axis) - window + 1;
  at::Tensor power = x;  // sums over `width` neighbours
  at::Tensor total;
  std::int64_t offset = 0;
  for (std::int64_t width = 1; width <= window; width *= 2) {
    if ((window & width) != 0) {
      const at::Tensor term = power.narrow(axis, offset, size);
      total = total.defined() ? at::add(total, term) : term;
      offset += width;
    }
    if (2 * width <= window) {
      const std::int64_t length = power.size(axis) - width;
      power = at::add(power.narrow(axis, 0, length), power.narrow(axis, width, length));
    }
  }
  return total;
}

}  // namespace

at::Tensor pad_for_box(const at::Tensor& volume, std::int64_t window) {
  const std::int64_t border = window - 1;
  at::Tensor padded =
      at::zeros({volume.size(0), volume.size(1) + border, volume.size(2) + border, volume.size(3) + border},
                volume.options().dtype(at::kDouble));
  at::Tensor inside = padded;
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    inside = inside.narrow(axis, window / 2, volume.size(axis));
  }
  inside.copy_(volume);
  return padded;
}

at::Tensor box_sum(const at::Tensor& padded, std::int64_t window) {
  at::Tensor sum = padded;
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    sum = axis_sum(sum, axis, window);
  }
  return sum;
}

}  // namespace regatta
