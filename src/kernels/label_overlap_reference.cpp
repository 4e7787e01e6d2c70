#include <array>
#include <cmath>
#include <cstddef>

#include "regatta/kernels/label_overlap.hpp"

namespace regatta::kernels {

std::vector<std::int64_t> label_counts_reference(const std::vector<std::uint8_t>& fixed,
                                                 const std::vector<std::uint8_t>& moving,
                                                 const std::vector<float>& flow, const VolumeSize& size) {
  std::vector<std::int64_t> counts(kLabelRows * kLabelValues);
  const auto count = [&counts](LabelRow row, std::uint8_t label) {
    ++counts[static_cast<std::size_t>(row) * kLabelValues + label];
  };
  for (std::int64_t i = 0; i < size.all(); ++i) {
    const std::int64_t n = i / size.voxels();
    const std::int64_t p = i % size.voxels();
    const std::array<std::int64_t, 3> sizes = {size.d, size.h, size.w};
    const std::array<std::int64_t, 3> at = {p / size.plane(), p / size.w % size.h, p % size.w};
    std::int64_t from = n;
    bool inside = true;
    for (std::size_t c = 0; c < 3 && inside; ++c) {
      const auto axis = static_cast<std::int64_t>(c);
      const double point = static_cast<double>(at[c]) +
                           static_cast<double>(flow[static_cast<std::size_t>((3 * n + axis) * size.voxels() + p)]);
      inside = point >= 0.0 && point <= static_cast<double>(sizes[c] - 1);  // NaN: false
      from = inside ? from * sizes[c] + static_cast<std::int64_t>(std::floor(point + 0.5)) : 0;
    }
    const std::uint8_t of_fixed = fixed[static_cast<std::size_t>(i)];
    const std::uint8_t warped = inside ? moving[static_cast<std::size_t>(from)] : std::uint8_t{0};
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
