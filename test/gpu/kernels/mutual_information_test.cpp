#include "regatta/kernels/mutual_information.hpp"

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
  int bins = 32;
  double sigma_ratio = 1.0;

  ParzenPair on_host() const { return {fixed.data(), warped.data(), size, bins, sigma_ratio}; }
};

/// Heads with background, a plateau and noise, and some intensities beyond [0, 1].
Images head_images(const VolumeSize& size) {
  Images images = {size, {}, {}};
  const std::vector<double> one = as_intensities(head_image(size, 1));
  const std::vector<double> other = as_intensities(head_image(size, 2));
  const std::vector<float> noise = normal_values(one.size(), 3, 0.02F);
  for (std::size_t i = 0; i < one.size(); ++i) {
    images.fixed.push_back(static_cast<float>(one[i]));
    images.warped.push_back(static_cast<float>(0.6 * other[i] + 0.4 * one[i]) + (i % 3 == 0 ? noise[i] : 0.0F));
  }
  return images;
}

struct Result {
  float loss = 0.0F;
  std::vector<float> to_fixed, to_warped;
};

Result on_device(const Images& images) {
  const DeviceArray<float> fixed(images.fixed);
  const DeviceArray<float> warped(images.warped);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> slopes(mutual_information_slope_count(images.size));
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(mutual_information_scratch_bytes(images.size));
  DeviceArray<float> to_fixed(images.fixed.size());
  DeviceArray<float> to_warped(images.fixed.size());
  const ParzenPair pair = {fixed.get(), warped.get(), images.size, images.bins, images.sigma_ratio};
  mutual_information_forward(pair, slopes.get(), loss.get(), scratch.get(), nullptr);
  mutual_information_backward(pair, ParzenImage::kFixed, slopes.get(), upstream.get(), to_fixed.get(), nullptr);
  mutual_information_backward(pair, ParzenImage::kWarped, slopes.get(), upstream.get(), to_warped.get(), nullptr);
  wait_for_gpu();
  CHECK(slopes.margins_hold());
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_fixed.margins_hold());
  CHECK(to_warped.margins_hold());
  return {loss.values()[0], to_fixed.values(), to_warped.values()};
}

Result cubes_on_device(const Images& images, int edge) {
  const DeviceArray<float> fixed(images.fixed);
  const DeviceArray<float> warped(images.warped);
  DeviceArray<float> loss(1);
  DeviceArray<float> loss_alone(1);
  DeviceArray<unsigned char> scratch(local_mutual_information_scratch_bytes(images.size, edge));
  DeviceArray<float> to_warped(images.fixed.size());
  const ParzenPair pair = {fixed.get(), warped.get(), images.size, images.bins, images.sigma_ratio};
  local_mutual_information(pair, edge, to_warped.get(), loss.get(), scratch.get(), nullptr);
  local_mutual_information(pair, edge, nullptr, loss_alone.get(), scratch.get(), nullptr);
  wait_for_gpu();
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_warped.margins_hold());
  CHECK(same_bits(loss.values(), loss_alone.values()));
  return {loss.values()[0], {}, to_warped.values()};
}

std::vector<double> scaled(std::vector<double> values, double factor) {
  for (double& value : values) {
    value *= factor;
  }
  return values;
}

void check_images(const Images& images) {
  INFO(images.size.n << "x" << images.size.d << "x" << images.size.h << "x" << images.size.w << ", " << images.bins
                     << " bins of width " << images.sigma_ratio);
  std::vector<double> to_fixed;
  std::vector<double> to_warped;
  const double loss = mutual_information_reference(images.on_host(), 0, &to_fixed, &to_warped);
  const Result result = on_device(images);
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  CHECK(relative_error(result.to_fixed, scaled(to_fixed, kUpstream)) < 1e-4);
  CHECK(relative_error(result.to_warped, scaled(to_warped, kUpstream)) < 1e-4);
  const Result again = on_device(images);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.to_warped, result.to_warped));
}

void check_cubes(const Images& images, int edge) {
  INFO(images.size.n << "x" << images.size.d << "x" << images.size.h << "x" << images.size.w << ", cubes of " << edge
                     << ", " << images.bins << " bins of width " << images.sigma_ratio);
  std::vector<double> to_warped;
  const double loss = mutual_information_reference(images.on_host(), edge, nullptr, &to_warped);
  const Result result = cubes_on_device(images, edge);
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  CHECK(relative_error(result.to_warped, to_warped) < 1e-4);
  const Result again = cubes_on_device(images, edge);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.to_warped, result.to_warped));
}

}  // namespace

TEST_CASE("mutual information on the device is that of float64, with derivatives to both images") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    check_images(head_images(size));
  }
  Images images = head_images(small_sizes()[2]);
  for (const auto& [bins, ratio] : {std::pair{32, 1.0 / 2.355}, {17, 1.0}, {2, 0.5}, {32, 2.0}, {24, 0.3}}) {
    images.bins = bins;
    images.sigma_ratio = ratio;
    check_images(images);
  }
  check_images({{1, 1, 2, 3}, uniform_values(6, 1, 0.0F, 1.0F), uniform_values(6, 2, 0.0F, 1.0F)});
}

TEST_CASE("mutual information of cubes on the device is that of float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    check_cubes(head_images(size), 5);
  }
  Images images = head_images(small_sizes()[2]);
  for (const int edge : {2, 3, 8, 16}) {
    check_cubes(images, edge);
  }
  images.bins = 20;
  images.sigma_ratio = 0.5;
  check_cubes(images, 5);
}

TEST_CASE("a missing intensity makes mutual information NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Images images = head_images(small_sizes()[0]);
  images.warped[77] = std::numeric_limits<float>::quiet_NaN();
  CHECK(std::isnan(on_device(images).loss));
  CHECK(std::isnan(cubes_on_device(images, 5).loss));
}

TEST_CASE("mutual information of full-size images agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Images images = head_images(kFullSize);
  images.bins = 6;  // the reference takes seconds as it is
  std::vector<double> to_warped;
  const double loss = mutual_information_reference(images.on_host(), 0, nullptr, &to_warped);
  const Result result = on_device(images);
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  CHECK(relative_error(result.to_warped, scaled(to_warped, kUpstream)) < 1e-4);
}

}  // namespace regatta::kernels
