#include <limits>
#include <vector>

#include "regatta/kernels/label_overlap.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {

TEST_CASE("labels are counted under the nearest voxel, 0 beyond the outer centres") {
  const VolumeSize size = {1, 1, 1, 6};
  const std::vector<std::uint8_t> fixed = {1, 2, 2, 7, 7, 0};
  const std::vector<std::uint8_t> moving = {1, 2, 3, 7, 7, 9};
  std::vector<float> flow(18, 0.0F);
  flow[12] = -0.1F;                                    // outside: 0
  flow[13] = 0.5F;                                     // a half, upwards: 3
  flow[14] = -0.6F;                                    // 2
  flow[15] = std::numeric_limits<float>::quiet_NaN();  // 0
  flow[17] = 0.1F;                                     // outside: 0
  const std::vector<std::int64_t> counts = label_counts_reference(fixed, moving, flow, size);
  const auto at = [&](LabelRow row, int label) {
    return counts[static_cast<std::size_t>(row) * kLabelValues + static_cast<std::size_t>(label)];
  };
  CHECK(at(LabelRow::kFixed, 2) == 2);
  CHECK(at(LabelRow::kMoving, 9) == 1);
  CHECK(at(LabelRow::kWarped, 0) == 3);
  CHECK(at(LabelRow::kWarped, 3) == 1);
  CHECK(at(LabelRow::kBoth, 2) == 1);
  CHECK(at(LabelRow::kBoth, 7) == 1);
  CHECK(at(LabelRow::kBoth, 0) == 1);
}

}  // namespace regatta::kernels
