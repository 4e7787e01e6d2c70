#include <random>
#include <vector>

#include "regatta/kernels/warp.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 4, 5, 6};

template <class T>
std::vector<T> uniform(std::size_t count, std::uint64_t seed, double low, double high) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> draw(low, high);
  std::vector<T> out(count);
  for (T& value : out) {
    value = static_cast<T>(draw(engine));
  }
  return out;
}

const std::size_t kCount = static_cast<std::size_t>(kSize.all());

}  // namespace

TEST_CASE("a field of zeros changes nothing, one of ones moves by a voxel") {
  const auto image = uniform<double>(kCount, 1, 0.0, 1.0);
  std::vector<float> flow(3 * kCount, 0.0F);
  CHECK(warp_reference(image, flow, kSize, Outside::kZero).warped == image);
  CHECK(warp_reference(image, flow, kSize, Outside::kBorder).warped == image);
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::size_t voxels = kCount / 2;
    flow[3 * (i / voxels) * voxels + 2 * voxels + i % voxels] = 1.0F;  // along W
  }
  const auto zero = warp_reference(image, flow, kSize, Outside::kZero).warped;
  const auto border = warp_reference(image, flow, kSize, Outside::kBorder).warped;
  CHECK(zero[7] == image[8]);
  CHECK(zero[5] == 0.0);
  CHECK(border[5] == image[5]);
}

TEST_CASE("outside the centres of the outer voxels the image falls to zero within a voxel") {
  const std::vector<double> image(kCount, 1.0);
  std::vector<float> flow(3 * kCount, 0.0F);
  flow[0] = -0.25F;
  CHECK(warp_reference(image, flow, kSize, Outside::kZero).warped[0] == Approx(0.75));
  CHECK(warp_reference(image, flow, kSize, Outside::kZero).gradient[0] == Approx(1.0));
  CHECK(warp_reference(image, flow, kSize, Outside::kBorder).warped[0] == 1.0);
  CHECK(warp_reference(image, flow, kSize, Outside::kBorder).gradient[0] == 0.0);
}

TEST_CASE("the warp's gradient is that of finite differences") {
  const auto image = uniform<double>(kCount, 2, 0.0, 1.0);
  auto flow = uniform<float>(3 * kCount, 3, -2.0, 2.0);
  for (const Outside outside : {Outside::kZero, Outside::kBorder}) {
    const WarpReference at = warp_reference(image, flow, kSize, outside);
    for (std::size_t i = 0; i < flow.size(); i += 7) {
      const std::size_t voxels = kCount / 2;
      const std::size_t voxel = i / (3 * voxels) * voxels + i % voxels;
      const float kept = flow[i];
      flow[i] = kept + 1e-3F;
      const double above = warp_reference(image, flow, kSize, outside).warped[voxel];
      const double step_above = static_cast<double>(flow[i]) - kept;
      flow[i] = kept;
      CHECK(at.gradient[i] == Approx((above - at.warped[voxel]) / step_above).epsilon(1e-6).margin(1e-9));
    }
  }
}

TEST_CASE("the diffusion loss is the mean of squared or absolute differences, and its gradient theirs") {
  std::vector<float> flow(3 * kCount, 0.0F);
  const std::size_t voxels = kCount / 2;
  for (std::size_t i = 0; i < kCount; ++i) {
    flow[3 * (i / voxels) * voxels + i % voxels] = static_cast<float>(i % 6) * 0.5F;  // component D grows along W
  }
  CHECK(diffusion_reference(flow, kSize, Penalty::kSquared, 1.0, nullptr) == Approx(0.25 / 9.0));
  CHECK(diffusion_reference(flow, kSize, Penalty::kAbsolute, 3.0, nullptr) == Approx(0.5 / 3.0));
  const double unit = static_cast<double>(kSize.w) / static_cast<double>(kSize.d - 1);
  CHECK(diffusion_reference(flow, kSize, Penalty::kSquared, 1.0, nullptr, DiffusionUnits::kLku) ==
        Approx(0.25 / 9.0 * unit * unit));
  CHECK(diffusion_reference(flow, kSize, Penalty::kAbsolute, 3.0, nullptr, DiffusionUnits::kLku) ==
        Approx(0.5 / 3.0 * unit));
  flow = uniform<float>(3 * kCount, 4, -1.0, 1.0);
  for (const DiffusionUnits units : {DiffusionUnits::kVoxels, DiffusionUnits::kLku}) {
    for (const Penalty penalty : {Penalty::kSquared, Penalty::kAbsolute}) {
      std::vector<double> gradient;
      diffusion_reference(flow, kSize, penalty, -2.0, &gradient, units);
      for (std::size_t i = 0; i < flow.size(); i += 11) {
        const float kept = flow[i];
        flow[i] = kept + 0x1p-12F;
        const double above = diffusion_reference(flow, kSize, penalty, -2.0, nullptr, units);
        flow[i] = kept - 0x1p-12F;
        const double below = diffusion_reference(flow, kSize, penalty, -2.0, nullptr, units);
        flow[i] = kept;
        CHECK(gradient[i] == Approx((above - below) / 0x1p-11).epsilon(1e-5).margin(1e-9));
      }
    }
  }
}

}  // namespace regatta::kernels
