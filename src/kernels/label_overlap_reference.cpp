#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "regatta/kernels/label_overlap.hpp"

namespace regatta::kernels {
namespace {

using Index3 = std::array<std::int64_t, 3>;
using Point3 = std::array<float, 3>;

/// @param labels  of one volume
std::uint8_t nearest_label(const std::uint8_t* labels, const Index3& at, const Point3& u, const Index3& sizes) {
  std::int64_t from = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    const double point = static_cast<double>(at[c]) + static_cast<double>(u[c]);
    if (!(point >= 0.0 && point <= static_cast<double>(sizes[c] - 1))) {  // NaN too
      return 0;
    }
    from = from * sizes[c] + static_cast<std::int64_t>(std::floor(point + 0.5));
  }
  return labels[from];
}

/// Of two float32, rounded once.
float product(float a, float b) {
  return static_cast<float>(static_cast<double>(a) * static_cast<double>(b));
}

std::uint8_t heaviest_label(const std::uint8_t* labels, const Index3& at, const Point3& u, const Index3& sizes) {
  constexpr double kFar = 1 << 30;
  std::array<float, 256> weights{};
  for (std::size_t k = 0; k < 8; ++k) {
    std::int64_t from = 0;
    bool inside = true;
    std::array<float, 3> parts{};
    for (std::size_t c = 0; c < 3; ++c) {
      const std::int64_t step = static_cast<std::int64_t>(k >> (2 - c) & 1U);
      const float fraction = u[c] - std::floor(u[c]);
      if (std::isnan(fraction)) {
        return 0;
      }
      const std::int64_t voxel =
          at[c] + static_cast<std::int64_t>(std::clamp(std::floor(static_cast<double>(u[c])), -kFar, kFar)) + step;
      inside = inside && voxel >= 0 && voxel < sizes[c];
      from = from * sizes[c] + voxel;
      parts[c] = step == 1 ? fraction : 1.0F - fraction;
    }
    if (inside) {
      weights[labels[from]] += product(product(parts[0], parts[1]), parts[2]);
    }
  }
  return static_cast<std::uint8_t>(std::max_element(weights.begin(), weights.end()) - weights.begin());
}

}  // namespace

std::vector<std::int64_t> label_counts_reference(const std::vector<std::uint8_t>& fixed,
                                                 const std::vector<std::uint8_t>& moving,
                                                 const std::vector<float>& flow, const VolumeSize& size,
                                                 LabelWarp warp) {
  std::vector<std::int64_t> counts(kLabelRows * kLabelValues);
  const auto count = [&counts](LabelRow row, std::uint8_t label) {
    ++counts[static_cast<std::size_t>(row) * kLabelValues + label];
  };
  const auto label_of = warp == LabelWarp::kNearest ? nearest_label : heaviest_label;
  for (std::int64_t i = 0; i < size.all(); ++i) {
    const std::int64_t n = i / size.voxels();
    const std::int64_t p = i % size.voxels();
    Point3 u{};
    for (std::size_t c = 0; c < 3; ++c) {
      u[c] = flow[static_cast<std::size_t>((3 * n + static_cast<std::int64_t>(c)) * size.voxels() + p)];
    }
    const std::uint8_t warped =
        label_of(moving.data() + n * size.voxels(), {p / size.plane(), p / size.w % size.h, p % size.w}, u,
                 {size.d, size.h, size.w});
    const std::uint8_t of_fixed = fixed[static_cast<std::size_t>(i)];
    count(LabelRow::kFixed, of_fixed);
    count(LabelRow::kWarped, warped);
    count(LabelRow::kMoving, moving[static_cast<std::size_t>(i)]);
    if (warped == of_fixed) {
      count(LabelRow::kBoth, warped);
    }
  }
  return counts;
}

}  // namespace regatta::kernels
