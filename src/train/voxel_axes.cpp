#include "train/voxel_axes.hpp"

#include <cmath>

namespace regatta {
namespace {

constexpr double kRightAngle = 1e-6;

}  // namespace

VoxelAxes voxel_axes(const Affine& affine, const Flips& flips) {
  const Spacing3 length = spacing_of(affine);
  const auto product = [&](std::size_t a, std::size_t b) {
    const double sum = affine[a] * affine[b] + affine[4 + a] * affine[4 + b] + affine[8 + a] * affine[8 + b];
    return std::abs(sum) <= kRightAngle * length[a] * length[b] ? 0.0 : flips[a] != flips[b] ? -sum : sum;
  };
  // The Cholesky factor of the products of the axes.
  VoxelAxes out{};
  out[0] = length[0];
  out[1] = product(0, 1) / out[0];
  out[2] = product(0, 2) / out[0];
  out[4] = out[1] == 0.0 ? length[1] : std::sqrt(length[1] * length[1] - out[1] * out[1]);
  out[5] = (product(1, 2) - out[1] * out[2]) / out[4];
  const double rest = out[2] * out[2] + out[5] * out[5];
  out[8] = rest == 0.0 ? length[2] : std::sqrt(length[2] * length[2] - rest);
  return out;
}

}  // namespace regatta
