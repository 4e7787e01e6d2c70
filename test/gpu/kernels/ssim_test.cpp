#include "regatta/kernels/ssim.hpp"

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

constexpr float kUpstream = 1.5F;

struct Images {
  VolumeSize size;
  std::vector<float> fixed, warped;
};

/// Background, a plateau and noise.
Images head_images(const VolumeSize& size) {
  Images images = {size, {}, {}};
  const std::vector<double> one = as_intensities(head_image(size, 1));
  const std::vector<double> other = as_intensities(head_image(size, 2));
  images.fixed.assign(one.begin(), one.end());
  images.warped.assign(other.begin(), other.end());
  return images;
}

struct Result {
  float loss = 0.0F;
  std::vector<float> gradient;
};

Result on_device(const Images& images) {
  const DeviceArray<float> fixed(images.fixed);
  const DeviceArray<float> warped(images.warped);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> coefficients(ssim_coefficient_count(images.size));
  DeviceArray<float> loss(1);
  DeviceArray<float> loss_alone(1);
  DeviceArray<unsigned char> scratch(ssim_scratch_bytes(images.size));
  DeviceArray<float> to_warped(images.warped.size());
  const SsimPair pair = {fixed.get(), warped.get(), images.size};
  ssim_forward(pair, coefficients.get(), loss.get(), scratch.get(), nullptr);
  ssim_backward(pair, coefficients.get(), upstream.get(), to_warped.get(), nullptr);
  ssim_forward(pair, nullptr, loss_alone.get(), scratch.get(), nullptr);
  wait_for_gpu();
  CHECK(coefficients.margins_hold());
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_warped.margins_hold());
  if (std::isfinite(loss.values()[0])) {
    CHECK(loss_alone.values()[0] == Approx(loss.values()[0]).epsilon(1e-6));  // another kernel, rounded otherwise
  } else {
    CHECK(std::isnan(loss_alone.values()[0]));
  }
  return {loss.values()[0], to_warped.values()};
}

void check_images(const Images& images) {
  INFO(images.size.n << "x" << images.size.d << "x" << images.size.h << "x" << images.size.w);
  std::vector<double> expected;
  const double loss = ssim_reference({images.fixed.data(), images.warped.data(), images.size}, &expected);
  for (double& slope : expected) {
    slope *= kUpstream;
  }
  const Result result = on_device(images);
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  const double error = relative_error(result.gradient, expected);
  CHECK(error < 1e-3);
  std::cout << "ssim, " << images.size.d << "x" << images.size.h << "x" << images.size.w << ": loss off by "
            << std::abs(result.loss - loss) / loss << ", gradient by " << error << '\n';
  const Result again = on_device(images);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.gradient, result.gradient));
}

}  // namespace

TEST_CASE("structural similarity on the device is that of float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    check_images(head_images(size));
    const auto count = static_cast<std::size_t>(size.all());
    check_images({size, uniform_values(count, 1, 0.0F, 1.0F), uniform_values(count, 2, 0.0F, 1.0F)});
  }
  check_images({{1, 1, 2, 3}, uniform_values(6, 1, 0.0F, 1.0F), uniform_values(6, 2, 0.0F, 1.0F)});
}

TEST_CASE("a missing intensity makes structural similarity NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Images images = head_images(small_sizes()[0]);
  images.warped[77] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(on_device(images).loss));
}

TEST_CASE("structural similarity of full-size images agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_images(head_images(kFullSize));
}

}  // namespace regatta::kernels
