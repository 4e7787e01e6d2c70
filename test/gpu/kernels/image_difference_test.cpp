#include "regatta/kernels/image_difference.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr float kUpstream = 1.5F;

struct Images {
  VolumeSize size;
  std::vector<float> fixed, warped;
  std::vector<std::uint8_t> mask;  ///< empty: none
};

struct Result {
  float loss = 0.0F;
  std::vector<float> to_fixed, to_warped;
};

Result on_device(const Images& images, Penalty penalty) {
  const DeviceArray<float> fixed(images.fixed);
  const DeviceArray<float> warped(images.warped);
  const DeviceArray<std::uint8_t> mask(images.mask);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> share(1);
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(image_difference_scratch_bytes(images.size));
  DeviceArray<float> to_fixed(images.fixed.size());
  DeviceArray<float> to_warped(images.fixed.size());
  ImageDifference work = {fixed.get(), warped.get(), images.size, penalty};
  work.mask = images.mask.empty() ? nullptr : mask.get();
  image_difference_forward(work, share.get(), loss.get(), scratch.get(), nullptr);
  image_difference_backward(work, share.get(), upstream.get(), to_fixed.get(), nullptr, nullptr);
  image_difference_backward(work, share.get(), upstream.get(), nullptr, to_warped.get(), nullptr);
  wait_for_gpu();
  CHECK(share.margins_hold());
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_fixed.margins_hold());
  CHECK(to_warped.margins_hold());
  return {loss.values()[0], to_fixed.values(), to_warped.values()};
}

void check_images(const Images& images, Penalty penalty) {
  INFO(images.size.n << "x" << images.size.d << "x" << images.size.h << "x" << images.size.w << ", penalty "
                     << static_cast<int>(penalty) << ", masked " << !images.mask.empty());
  ImageDifference work = {images.fixed.data(), images.warped.data(), images.size, penalty};
  work.mask = images.mask.empty() ? nullptr : images.mask.data();
  std::vector<double> expected;
  const double loss = image_difference_reference(work, &expected);
  for (double& slope : expected) {
    slope *= kUpstream;
  }
  const Result result = on_device(images, penalty);
  CHECK(result.loss == Approx(loss).epsilon(1e-6));
  CHECK(relative_error(result.to_warped, expected) < 1e-6);
  for (double& slope : expected) {
    slope = -slope;
  }
  CHECK(relative_error(result.to_fixed, expected) < 1e-6);
  const Result again = on_device(images, penalty);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.to_warped, result.to_warped));
}

Images random_images(const VolumeSize& size) {
  const auto count = static_cast<std::size_t>(size.all());
  return {size, uniform_values(count, 1, 0.0F, 1.0F), uniform_values(count, 2, 0.0F, 1.0F), {}};
}

}  // namespace

TEST_CASE("differences of images on the device are those of float64, with masks and without") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    Images images = random_images(size);
    for (const Penalty penalty : {Penalty::kSquared, Penalty::kAbsolute}) {
      images.mask.clear();
      check_images(images, penalty);
      images.mask = head_labels(size, 0.3, 2);
      check_images(images, penalty);
    }
  }
  check_images(random_images({1, 1, 1, 1}), Penalty::kSquared);
}

TEST_CASE("an empty mask makes a difference of images 0; a missing voxel that counts makes it NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Images images = random_images(small_sizes()[0]);
  images.mask.assign(images.fixed.size(), 0);
  const Result empty = on_device(images, Penalty::kSquared);
  CHECK(empty.loss == 0.0F);
  CHECK(relative_error(empty.to_warped, std::vector<double>(images.fixed.size())) == 0.0);
  images.mask.clear();
  images.warped[77] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(on_device(images, Penalty::kSquared).loss));
}

TEST_CASE("differences of full-size images agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Images images = random_images(kFullSize);
  images.mask = head_labels(kFullSize, 0.0, 2);
  check_images(images, Penalty::kSquared);
}

}  // namespace regatta::kernels
