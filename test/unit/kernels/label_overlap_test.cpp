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
  const std::vector<std::int64_t> counts = label_counts_reference(fixed, moving, flow, size, LabelWarp::kNearest);
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

TEST_CASE("labels are counted by the largest sum of weights; of equal ones the lowest label wins") {
  const VolumeSize size = {1, 1, 2, 6};
  const std::vector<std::uint8_t> fixed = {9, 4, 5, 6, 0, 8, 0, 0, 0, 0, 0, 0};
  const std::vector<std::uint8_t> moving = {9, 5, 4, 6, 0, 8, 9, 4, 6, 6, 0, 7};
  std::vector<float> flow(36, 0.0F);
  const auto move = [&flow](std::size_t voxel, float h, float w) {
    flow[12 + voxel] = h;
    flow[24 + voxel] = w;
  };
  move(0, 0.0F, -0.75F);                                   // a quarter of 9, the rest outside: 9
  move(1, 0.5F, 0.5F);                                     // 5, 4, 4, 6, a quarter each: 4
  move(2, 0.0F, -0.5F);                                    // 5 and 4, a half each: 4
  move(3, 1.0F, 0.75F);                                    // a quarter of 6, three of 0: 0
  move(4, -1.5F, 0.0F);                                    // all outside: 0
  move(5, std::numeric_limits<float>::quiet_NaN(), 0.0F);  // 0
  move(6, 0.0F, std::numeric_limits<float>::infinity());   // 0
  move(7, 0.0F, -1e30F);                                   // 0
  move(8, -1.0F, 0.4375F);                                 // more of 4 than of 6: 4
  move(9, -0.25F, -0.5F);                                  // 4 has 1/8, 6 the rest: 6
  const auto counts = label_counts_reference(fixed, moving, flow, size, LabelWarp::kLargestWeight);
  const auto at = [&](LabelRow row, int label) {
    return counts[static_cast<std::size_t>(row) * kLabelValues + static_cast<std::size_t>(label)];
  };
  CHECK(at(LabelRow::kWarped, 9) == 1);
  CHECK(at(LabelRow::kWarped, 4) == 3);
  CHECK(at(LabelRow::kWarped, 6) == 1);
  CHECK(at(LabelRow::kWarped, 7) == 1);
  CHECK(at(LabelRow::kWarped, 0) == 6);
  CHECK(at(LabelRow::kBoth, 9) == 1);
  CHECK(at(LabelRow::kBoth, 4) == 1);
  CHECK(at(LabelRow::kMoving, 6) == 3);
}

}  // namespace regatta::kernels
