#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "regatta/kernels/fixed_point.hpp"
#include "regatta/kernels/ncc.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 4, 5, 6};

std::vector<double> uniform(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> draw(0.0, 1.0);
  std::vector<double> out(static_cast<std::size_t>(kSize.all()));
  for (double& value : out) {
    value = draw(engine);
  }
  return out;
}

/// One window, voxel by voxel.
double squared_at(const std::vector<double>& a, const std::vector<double>& b, std::int64_t center, int radius) {
  const std::int64_t n = center / kSize.voxels();
  const std::int64_t z = center % kSize.voxels() / kSize.plane();
  const std::int64_t y = center % kSize.plane() / kSize.w;
  const std::int64_t x = center % kSize.w;
  double sa = 0.0, sb = 0.0, saa = 0.0, sbb = 0.0, sab = 0.0;
  for (std::int64_t d = std::max<std::int64_t>(z - radius, 0); d <= std::min(z + radius, kSize.d - 1); ++d) {
    for (std::int64_t h = std::max<std::int64_t>(y - radius, 0); h <= std::min(y + radius, kSize.h - 1); ++h) {
      for (std::int64_t w = std::max<std::int64_t>(x - radius, 0); w <= std::min(x + radius, kSize.w - 1); ++w) {
        const auto i = static_cast<std::size_t>(n * kSize.voxels() + d * kSize.plane() + h * kSize.w + w);
        sa += a[i];
        sb += b[i];
        saa += a[i] * a[i];
        sbb += b[i] * b[i];
        sab += a[i] * b[i];
      }
    }
  }
  const double count = std::pow(2 * radius + 1, 3);
  const double cross = sab - sa * sb / count;
  return cross * cross / ((saa - sa * sa / count) * (sbb - sb * sb / count) + 1e-5);
}

}  // namespace

TEST_CASE("ncc of an image with itself is one, up to the floor of flat windows") {
  const std::vector<double> image = uniform(1);
  CHECK(ncc_reference(image, image, kSize, 3, -1.0, nullptr) == Approx(-1.0).epsilon(1e-4));
  const std::vector<double> flat(image.size(), 0.0);
  std::vector<double> gradient;
  CHECK(ncc_reference(image, flat, kSize, 9, -1.0, &gradient) == 0.0);
}

TEST_CASE("ncc is the mean over windows, 0 outside") {
  const std::vector<double> fixed = uniform(2);
  const std::vector<double> warped = uniform(3);
  for (const int window : {3, 5, 9}) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < kSize.all(); ++i) {
      sum += squared_at(fixed, warped, i, window / 2);
    }
    const double mean = sum / static_cast<double>(kSize.all());
    CHECK(ncc_reference(fixed, warped, kSize, window, 2.0, nullptr) == Approx(2.0 * mean).epsilon(1e-9));
  }
}

TEST_CASE("the gradient of ncc is that of finite differences") {
  const std::vector<double> fixed = uniform(4);
  std::vector<double> warped = uniform(5);
  for (const int window : {3, 7}) {
    std::vector<double> gradient;
    ncc_reference(fixed, warped, kSize, window, -1.0, &gradient);
    for (std::size_t i = 0; i < warped.size(); i += 17) {
      const double kept = warped[i];
      constexpr double kStep = 1e-5;
      warped[i] = kept + kStep;
      const double above = ncc_reference(fixed, warped, kSize, window, -1.0, nullptr);
      warped[i] = kept - kStep;
      const double below = ncc_reference(fixed, warped, kSize, window, -1.0, nullptr);
      warped[i] = kept;
      CHECK(gradient[i] == Approx((above - below) / (2.0 * kStep)).epsilon(1e-5).margin(1e-9));
    }
  }
}

TEST_CASE("windows around voxels outside the mask add nothing to ncc, and their voxels still count in others") {
  const std::vector<double> fixed = uniform(8);
  std::vector<double> warped = uniform(9);
  std::vector<std::uint8_t> mask(fixed.size());
  double sum = 0.0;
  for (std::int64_t i = 0; i < kSize.all(); i += 3) {
    mask[static_cast<std::size_t>(i)] = 7;
    sum += squared_at(fixed, warped, i, 1);
  }
  std::vector<double> gradient;
  const double loss = ncc_reference(fixed, warped, kSize, 3, -1.0, &gradient, NccForm::kSums, mask);
  CHECK(loss == Approx(-sum / static_cast<double>(kSize.all())).epsilon(1e-9));
  for (std::size_t i = 0; i < warped.size(); i += 17) {
    const double kept = warped[i];
    constexpr double kStep = 1e-5;
    warped[i] = kept + kStep;
    const double above = ncc_reference(fixed, warped, kSize, 3, -1.0, nullptr, NccForm::kSums, mask);
    warped[i] = kept - kStep;
    const double below = ncc_reference(fixed, warped, kSize, 3, -1.0, nullptr, NccForm::kSums, mask);
    warped[i] = kept;
    CHECK(gradient[i] == Approx((above - below) / (2.0 * kStep)).epsilon(1e-5).margin(1e-9));
  }
}

TEST_CASE("the forms differ where windows are flat") {
  const std::vector<double> image = uniform(6);
  const std::vector<double> flat(image.size(), 0.0);
  CHECK(ncc_reference(flat, flat, kSize, 5, 1.0, nullptr, NccForm::kSums) == 0.0);
  CHECK(ncc_reference(flat, flat, kSize, 5, 1.0, nullptr, NccForm::kMeans) == 0.0);
  CHECK(ncc_reference(flat, flat, kSize, 5, 1.0, nullptr, NccForm::kClamped) == Approx(1.0));
  CHECK(ncc_reference(image, image, kSize, 5, 1.0, nullptr, NccForm::kMeans) == Approx(1.0));
  std::vector<double> warped = uniform(7);
  for (std::size_t i = 0; i < warped.size(); i += 2) {
    warped[i] = image[i];
  }
  for (const NccForm form : {NccForm::kMeans, NccForm::kClamped}) {
    std::vector<double> gradient;
    ncc_reference(image, warped, kSize, 5, -1.0, &gradient, form);
    for (std::size_t i = 0; i < warped.size(); i += 13) {
      const double kept = warped[i];
      constexpr double kStep = 1e-5;
      warped[i] = kept + kStep;
      const double above = ncc_reference(image, warped, kSize, 5, -1.0, nullptr, form);
      warped[i] = kept - kStep;
      const double below = ncc_reference(image, warped, kSize, 5, -1.0, nullptr, form);
      warped[i] = kept;
      CHECK(gradient[i] == Approx((above - below) / (2.0 * kStep)).epsilon(1e-5).margin(1e-9));
    }
  }
}

TEST_CASE("fixed point has 21 bits, bytes exactly, and a number for what does not fit") {
  CHECK(to_fixed_point(0.0) == 0U);
  CHECK(to_fixed_point(1.0) == kFixedPointOne);
  CHECK(to_fixed_point(17.0 / 255.0) == 17U * 8192U);
  CHECK(to_fixed_point(1.0 + 1e-8) == kFixedPointOne);
  CHECK(to_fixed_point(1.001) == kFixedPointInvalid);
  CHECK(to_fixed_point(-0.001) == kFixedPointInvalid);
  CHECK(to_fixed_point(std::nan("")) == kFixedPointInvalid);
}

TEST_CASE("windows that a chip has room for have a form") {
  const Capability hopper = {9, 0, 132, 232448};
  const Capability consumer = {8, 6, 84, 101376};
  for (const int window : {3, 5, 7, 9, 11}) {
    CHECK(ncc_has_form(window, FixedImage::kBytes, hopper));
    CHECK(ncc_has_form(window, FixedImage::kFixedPoint, hopper));
    CHECK(ncc_has_form(window, FixedImage::kFixedPoint, as_sm80(hopper)));
    CHECK(ncc_has_form(window, FixedImage::kBytes, consumer));
    CHECK_FALSE(ncc_has_form(window, FixedImage::kFixedPoint, consumer));
  }
  CHECK_FALSE(ncc_has_form(13, FixedImage::kBytes, hopper));
  CHECK_FALSE(ncc_has_form(8, FixedImage::kBytes, hopper));
  CHECK_FALSE(ncc_has_form(9, FixedImage::kBytes, {7, 5, 72, 65536}));
}

}  // namespace regatta::kernels
