#include "regatta/kernels/ncc.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "regatta/kernels/warp.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr double kWeight = -1.0;

/// Images as numbers and in the forms of the device.
struct Pair {
  VolumeSize size;
  std::vector<double> fixed, warped;
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint32_t> fixed_point, warped_point;
  std::vector<std::uint8_t> mask;  ///< empty: none

  double rounded_reference(int window, std::vector<double>* gradient, NccForm form = NccForm::kSums) const {
    std::vector<double> rounded(warped_point.size());
    std::transform(warped_point.begin(), warped_point.end(), rounded.begin(),
                   [](std::uint32_t value) { return static_cast<double>(value) / kFixedPointOne; });
    return ncc_reference(fixed, rounded, size, window, kWeight, gradient, form, mask);
  }
};

Pair head_pair(const VolumeSize& size) {
  Pair pair;
  pair.size = size;
  pair.bytes = head_image(size, 1);
  pair.fixed = as_intensities(pair.bytes);
  const std::vector<double> moving = as_intensities(head_image(size, 2));
  pair.warped = warp_reference(moving, smooth_flow(size, 3, 3.0), size, Outside::kZero).warped;
  for (std::size_t i = 0; i < pair.warped.size(); ++i) {
    pair.warped_point.push_back(to_fixed_point(pair.warped[i]));
    pair.fixed_point.push_back(to_fixed_point(pair.fixed[i]));
  }
  return pair;
}

struct Result {
  double loss;
  std::vector<float> gradient;
  bool margins_hold;
};

Result run(const Pair& pair, FixedImage type, int window, const Capability& chip, NccForm form = NccForm::kSums) {
  const DeviceArray<std::uint8_t> bytes(pair.bytes);
  const DeviceArray<std::uint32_t> fixed_point(pair.fixed_point);
  const DeviceArray<std::uint32_t> warped(pair.warped_point);
  DeviceArray<float> coefficients(ncc_coefficient_count(pair.size));
  DeviceArray<float> gradient(static_cast<std::size_t>(pair.size.all()));
  DeviceArray<float> loss(1);
  const DeviceArray<float> upstream(std::vector<float>{1.0F});
  DeviceArray<unsigned char> scratch(ncc_scratch_bytes(chip));
  const void* fixed = type == FixedImage::kBytes ? static_cast<const void*>(bytes.get()) : fixed_point.get();
  const DeviceArray<std::uint8_t> mask(pair.mask);
  NccPair work = {fixed, type, warped.get(), pair.size, window, kWeight, form};
  work.mask = pair.mask.empty() ? nullptr : mask.get();
  ncc_forward(work, coefficients.get(), loss.get(), scratch.get(), chip, nullptr);
  ncc_backward(work, coefficients.get(), upstream.get(), gradient.get(), chip, nullptr);
  wait_for_gpu();
  const bool hold =
      coefficients.margins_hold() && gradient.margins_hold() && loss.margins_hold() && scratch.margins_hold();
  return {loss.values()[0], gradient.values(), hold};
}

}  // namespace

TEST_CASE("ncc on the device agrees with float64, windows 3 to 11") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  for (const VolumeSize& size : small_sizes()) {
    const Pair pair = head_pair(size);
    for (const int window : {3, 5, 7, 9, 11}) {
      std::vector<double> exact;
      std::vector<double> rounded;
      const double loss = ncc_reference(pair.fixed, pair.warped, size, window, kWeight, &exact);
      pair.rounded_reference(window, &rounded);
      for (const FixedImage type : {FixedImage::kBytes, FixedImage::kFixedPoint}) {
        INFO(size.n << "x" << size.d << "x" << size.h << "x" << size.w << ", window " << window << ", type "
                    << static_cast<int>(type));
        const Result result = run(pair, type, window, chip);
        CHECK(result.loss == Approx(loss).epsilon(1e-5));
        CHECK(relative_error(result.gradient, exact) < 1e-3);
        CHECK(relative_error(result.gradient, rounded) < 5e-5);
        CHECK(result.margins_hold);
      }
    }
  }
}

TEST_CASE("the other forms of ncc agree with float64 of the same rounded images") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    const Pair pair = head_pair(size);
    for (const NccForm form : {NccForm::kMeans, NccForm::kClamped}) {
      for (const int window : {5, 9}) {
        INFO(size.d << "x" << size.h << "x" << size.w << ", window " << window << ", form " << static_cast<int>(form));
        std::vector<double> rounded;
        const double loss = pair.rounded_reference(window, &rounded, form);
        const Result result = run(pair, FixedImage::kBytes, window, capability(0), form);
        CHECK(result.loss == Approx(loss).epsilon(1e-5));
        CHECK(relative_error(result.gradient, rounded) < 1e-3);
      }
    }
  }
}

TEST_CASE("masked ncc agrees with float64 of the same rounded images, windows 3 to 11") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    Pair pair = head_pair(size);
    pair.mask = head_labels(size, 0.3, 2);
    for (std::size_t i = 0; i < pair.mask.size(); i += 3) {
      pair.mask[i] = static_cast<std::uint8_t>(i % 2 * 255);
    }
    for (const int window : {3, 5, 7, 9, 11}) {
      for (const FixedImage type : {FixedImage::kBytes, FixedImage::kFixedPoint}) {
        INFO(size.d << "x" << size.h << "x" << size.w << ", window " << window << ", type " << static_cast<int>(type));
        std::vector<double> rounded;
        const double loss = pair.rounded_reference(window, &rounded);
        const Result result = run(pair, type, window, capability(0));
        CHECK(result.loss == Approx(loss).epsilon(1e-5));
        CHECK(relative_error(result.gradient, rounded) < 5e-5);
        CHECK(result.margins_hold);
      }
    }
  }
}

TEST_CASE("ncc repeats bit by bit, and other numbers of blocks change its rounding only") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  Capability small = as_sm80(chip);
  small.multiprocessors = 7;
  const Pair pair = head_pair(small_sizes()[1]);
  const Result first = run(pair, FixedImage::kBytes, 9, chip);
  const Result again = run(pair, FixedImage::kBytes, 9, chip);
  CHECK(first.loss == again.loss);
  CHECK(same_bits(first.gradient, again.gradient));
  const Result other = run(pair, FixedImage::kBytes, 9, small);
  CHECK(other.loss == Approx(first.loss).epsilon(1e-6));
  CHECK(relative_error(other.gradient, first.gradient) < 1e-5);
}

TEST_CASE("float32 images of full precision have a form") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = small_sizes()[2];
  Pair pair = head_pair(size);
  const auto count = static_cast<std::size_t>(size.all());
  const std::vector<float> fixed = uniform_values(count, 7, 0.0F, 1.0F);
  const DeviceArray<float> values(fixed);
  DeviceArray<std::uint32_t> points(count);
  to_fixed_point(values.get(), points.get(), size.all(), nullptr);
  wait_for_gpu();
  for (std::size_t i = 0; i < count; ++i) {
    pair.fixed[i] = fixed[i];
    pair.fixed_point[i] = to_fixed_point(static_cast<double>(fixed[i]));
  }
  const std::vector<std::uint32_t> on_device = points.values();
  std::size_t far = 0;
  for (std::size_t i = 0; i < count; ++i) {
    far += on_device[i] > pair.fixed_point[i] + 1 || on_device[i] + 1 < pair.fixed_point[i] ? 1 : 0;
  }
  CHECK(far == 0);
  CHECK(points.margins_hold());
  pair.fixed_point = on_device;
  std::vector<double> exact;
  const double loss = ncc_reference(pair.fixed, pair.warped, size, 9, kWeight, &exact);
  const Result result = run(pair, FixedImage::kFixedPoint, 9, capability(0));
  CHECK(result.loss == Approx(loss).epsilon(1e-5));
  CHECK(relative_error(result.gradient, exact) < 1e-3);
}

TEST_CASE("an intensity that does not fit makes the loss NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Pair pair = head_pair(small_sizes()[0]);
  pair.warped_point[1234] = kFixedPointInvalid;
  CHECK(std::isnan(run(pair, FixedImage::kBytes, 9, capability(0)).loss));
  pair.warped_point[1234] = 0;
  pair.fixed_point.back() = kFixedPointInvalid;
  CHECK(std::isnan(run(pair, FixedImage::kFixedPoint, 5, capability(0)).loss));
}

TEST_CASE("ncc of a full-size pair agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Pair pair = head_pair(kFullSize);
  std::vector<double> exact;
  const double loss = ncc_reference(pair.fixed, pair.warped, kFullSize, 9, kWeight, &exact);
  for (const FixedImage type : {FixedImage::kBytes, FixedImage::kFixedPoint}) {
    const Result result = run(pair, type, 9, capability(0));
    CHECK(result.loss == Approx(loss).epsilon(1e-5));
    const double error = relative_error(result.gradient, exact);
    CHECK(error < 1e-3);
    std::cout << "ncc 9, full size, type " << static_cast<int>(type) << ": loss off by "
              << std::abs(result.loss - loss) / std::abs(loss) << ", gradient by " << error << '\n';
  }
}

}  // namespace regatta::kernels
