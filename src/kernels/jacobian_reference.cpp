#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/field_form.hpp"
#include "kernels/jacobian_form.hpp"
#include "regatta/kernels/jacobian.hpp"

namespace regatta::kernels {
namespace {

// One operation of float32 each. By float64, so that no compiler joins two of them.
float product(float a, float b) {
  return static_cast<float>(static_cast<double>(a) * static_cast<double>(b));
}

float sum(float a, float b) {
  return static_cast<float>(static_cast<double>(a) + static_cast<double>(b));
}

float difference(float a, float b) {
  return static_cast<float>(static_cast<double>(a) - static_cast<double>(b));
}

using Index3 = std::array<std::int64_t, 3>;
using Row = std::array<float, 3>;

/// Derivatives of one component of p + flow(p) along D, H, W. @param u  [d, h, w]
Row row_of(const float* u, std::size_t component, const Index3& at, const Index3& sizes) {
  const Index3 strides = {sizes[1] * sizes[2], sizes[2], 1};
  const std::int64_t i = at[0] * strides[0] + at[1] * strides[1] + at[2];
  Row row{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const bool has_next = at[axis] + 1 < sizes[axis];
    const bool has_last = at[axis] > 0;
    const float apart = difference(u[has_next ? i + strides[axis] : i], u[has_last ? i - strides[axis] : i]);
    row[axis] = has_next && has_last ? product(apart, 0.5F) : apart;
  }
  row[component] = sum(row[component], 1.0F);
  return row;
}

float determinant(const Row& a, const Row& b, const Row& c) {
  const auto minor = [&](std::size_t p, std::size_t q) { return difference(product(b[p], c[q]), product(b[q], c[p])); };
  return sum(difference(product(minor(1, 2), a[0]), product(minor(0, 2), a[1])), product(minor(0, 1), a[2]));
}

double held(double value, const JacobianLog& log) {
  return value < log.least ? log.least : value > log.most ? log.most : value;  // NaN stays
}

}  // namespace

std::size_t jacobian_scratch_bytes(const VolumeSize& size) {
  const FieldGrid grid = field_grid(size, kJacobianPlanes);
  return kJacobianSums * sizeof(double) * static_cast<std::size_t>(grid.x * grid.y * grid.z);
}

std::array<double, kJacobianSums> jacobian_sums_reference(const std::vector<float>& flow,
                                                          const std::vector<std::uint8_t>& mask, const VolumeSize& size,
                                                          const JacobianLog& log) {
  std::array<double, kJacobianSums> sums{};
  std::array<double, kJacobianSums> of_row{};  // sums of sums lose fewer digits
  const auto add = [&](JacobianSum which, double value) { of_row[static_cast<std::size_t>(which)] += value; };
  const Index3 sizes = {size.d, size.h, size.w};
  for (std::int64_t i = 0; i < size.all(); ++i) {
    const std::int64_t p = i % size.voxels();
    const Index3 at = {p / size.plane(), p / size.w % size.h, p % size.w};
    const float* u = flow.data() + 3 * (i / size.voxels()) * size.voxels();
    const float det = determinant(row_of(u, 0, at, sizes), row_of(u + size.voxels(), 1, at, sizes),
                                  row_of(u + 2 * size.voxels(), 2, at, sizes));
    add(JacobianSum::kFolds, det > 0.0F ? 0.0 : 1.0);
    bool counts = mask.empty() || mask[static_cast<std::size_t>(i)] != 0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      counts = counts && at[axis] >= log.margin && at[axis] < sizes[axis] - log.margin;
    }
    if (counts) {
      const double plain = std::log(held(det, log));
      const double shifted = std::log(held(static_cast<double>(det) + log.shift, log)) - std::log(1.0 + log.shift);
      add(JacobianSum::kVoxels, 1.0);
      add(JacobianSum::kLog, plain);
      add(JacobianSum::kLogSquares, plain * plain);
      add(JacobianSum::kShifted, shifted);
      add(JacobianSum::kShiftedSquares, shifted * shifted);
    }
    if (at[2] + 1 == size.w) {
      for (std::size_t s = 0; s < sums.size(); ++s) {
        sums[s] += std::exchange(of_row[s], 0.0);
      }
    }
  }
  return sums;
}

}  // namespace regatta::kernels
