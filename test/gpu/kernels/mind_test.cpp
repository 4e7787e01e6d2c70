#include "regatta/kernels/mind.hpp"

#include <cmath>
#include <iostream>
#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

struct Images {
  VolumeSize size;
  std::vector<float> fixed, warped;
  int radius = 2;
  int dilation = 2;

  MindPair on_host() const { return {fixed.data(), warped.data(), size, radius, dilation}; }
};

/// Background and a plateau, where channels tie, and noise.
Images head_images(const VolumeSize& size) {
  Images images = {size, {}, {}};
  const std::vector<double> one = as_intensities(head_image(size, 1));
  const std::vector<double> other = as_intensities(head_image(size, 2));
  images.fixed.assign(one.begin(), one.end());
  images.warped.assign(other.begin(), other.end());
  return images;
}

Images rough_images(const VolumeSize& size) {
  const auto count = static_cast<std::size_t>(size.all());
  return {size, uniform_values(count, 1, 0.0F, 1.0F), uniform_values(count, 2, 0.0F, 1.0F)};
}

struct Result {
  float loss = 0.0F;
  std::vector<float> gradient;
};

Result on_device(const Images& images) {
  const DeviceArray<float> fixed(images.fixed);
  const DeviceArray<float> warped(images.warped);
  DeviceArray<float> loss(1);
  DeviceArray<float> loss_alone(1);
  DeviceArray<unsigned char> scratch(mind_scratch_bytes(images.size));
  DeviceArray<float> to_warped(images.warped.size());
  const MindPair pair = {fixed.get(), warped.get(), images.size, images.radius, images.dilation};
  mind(pair, to_warped.get(), loss.get(), scratch.get(), nullptr);
  mind(pair, nullptr, loss_alone.get(), scratch.get(), nullptr);
  wait_for_gpu();
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_warped.margins_hold());
  CHECK(same_bits(loss.values(), loss_alone.values()));
  return {loss.values()[0], to_warped.values()};
}

/// @param limit  of the gradient's relative error
void check_images(const Images& images, double limit = 1e-3) {
  INFO(images.size.n << "x" << images.size.d << "x" << images.size.h << "x" << images.size.w << ", radius "
                     << images.radius << ", dilation " << images.dilation);
  std::vector<double> expected;
  const double loss = mind_reference(images.on_host(), &expected);
  const Result result = on_device(images);
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  const double error = relative_error(result.gradient, expected);
  CHECK(error < limit);
  std::cout << "mind, " << images.size.d << "x" << images.size.h << "x" << images.size.w << ": loss off by "
            << std::abs(result.loss - loss) / loss << ", gradient by " << error << '\n';
  const Result again = on_device(images);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.gradient, result.gradient));
}

}  // namespace

TEST_CASE("self-similarity on the device is that of float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    check_images(head_images(size));
    check_images(rough_images(size));
  }
  for (const auto& [radius, dilation] : {std::pair{1, 1}, {1, 2}, {2, 1}, {2, 3}, {2, 8}}) {
    Images images = rough_images(small_sizes()[2]);
    images.radius = radius;
    images.dilation = dilation;
    check_images(images);
  }
  check_images(rough_images({1, 1, 3, 2}));
  check_images(rough_images({1, 60, 3, 40}));
}

TEST_CASE("a missing intensity makes self-similarity NaN; images without texture have none and no gradient") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Images images = head_images(small_sizes()[0]);
  images.warped[77] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(on_device(images).loss));
  images.fixed.assign(images.fixed.size(), 0.3F);
  images.warped.assign(images.fixed.size(), 0.6F);
  const Result flat = on_device(images);
  CHECK(flat.loss == 0.0F);
  CHECK(relative_error(flat.gradient, std::vector<double>(images.fixed.size())) == 0.0);
}

TEST_CASE("self-similarity of full-size images agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  // Which channel is the smallest changes with rounding: float64's own gradient of this pair moves by 0.8 % if half of
  // the intensities move by one unit in the last place of float32.
  check_images(head_images(kFullSize), 2e-2);
}

}  // namespace regatta::kernels
