#include "regatta/kernels/image_difference.hpp"

#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 1, 1, 3};

const std::vector<float> kFixed = {1.0F, 0.5F, 2.0F, 0.0F, 4.0F, -1.0F};
const std::vector<float> kWarped = {3.0F, 0.5F, 1.0F, 0.5F, 1.0F, -1.0F};
const std::vector<std::uint8_t> kMask = {1, 255, 0, 0, 7, 0};

ImageDifference work(Penalty penalty, const std::uint8_t* mask) {
  return {kFixed.data(), kWarped.data(), kSize, penalty, mask};
}

}  // namespace

TEST_CASE("differences of images are averaged squared or absolute, over all voxels or those of the mask") {
  CHECK(image_difference_reference(work(Penalty::kSquared, nullptr), nullptr) == Approx((4.0 + 1.0 + 0.25 + 9.0) / 6));
  CHECK(image_difference_reference(work(Penalty::kAbsolute, nullptr), nullptr) == Approx((2.0 + 1.0 + 0.5 + 3.0) / 6));
  CHECK(image_difference_reference(work(Penalty::kSquared, kMask.data()), nullptr) == Approx(13.0 / 3.0));
  CHECK(image_difference_reference(work(Penalty::kAbsolute, kMask.data()), nullptr) == Approx(5.0 / 3.0));
  const std::vector<std::uint8_t> empty(kMask.size(), 0);
  CHECK(image_difference_reference(work(Penalty::kSquared, empty.data()), nullptr) == 0.0);
}

TEST_CASE("the derivative of a difference of images is that of its voxels, 0 where they are equal or masked out") {
  std::vector<double> gradient;
  image_difference_reference(work(Penalty::kSquared, kMask.data()), &gradient);
  CHECK(gradient == std::vector<double>{4.0 / 3.0, 0.0, 0.0, 0.0, -2.0, 0.0});
  image_difference_reference(work(Penalty::kAbsolute, nullptr), &gradient);
  CHECK(gradient == std::vector<double>{1.0 / 6.0, 0.0, -1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0, 0.0});
}

}  // namespace regatta::kernels
