#include "regatta/kernels/keypoint.hpp"

#include <cmath>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {1, 4, 5, 6};

/// A field, and points of which some share voxels, lie on one, at the border and beyond it.
struct Scene {
  std::vector<float> flow = std::vector<float>(static_cast<std::size_t>(3 * kSize.voxels()));
  std::vector<float> fixed = {1.2F, 2.7F, 3.1F, 1.6F, 2.2F, 3.9F, 2.0F, 3.0F, 4.0F, -1.0F, 4.5F, 5.0F};
  std::vector<float> moving = {1.0F, 3.0F, 2.0F, 2.0F, 2.5F, 4.0F, 1.0F, 1.0F, 1.0F, 0.5F, 4.0F, 3.0F};

  Scene() {
    std::mt19937_64 engine(1);
    std::normal_distribution<float> normal;
    for (float& u : flow) {
      u = normal(engine);
    }
  }

  KeypointWork work() const {
    KeypointWork out = {flow.data(), kSize, fixed.data(), moving.data(), 4};
    out.axes_mm = {0.0, 1.5, 0.1, 2.0, 0.0, 0.0, 0.0, 0.2, -1.0};
    return out;
  }
};

}  // namespace

TEST_CASE("a key-point's error is its distance in mm, or its mean squared component in halves of the volume") {
  const std::vector<float> flow(static_cast<std::size_t>(3 * kSize.voxels()), 1.0F);
  const std::vector<float> fixed = {1.0F, 1.0F, 1.5F, 2.0F, 2.0F, 2.0F};
  const std::vector<float> moving = {2.0F, 5.0F, -0.5F, 3.0F, 3.0F, 3.0F};  // errors 0, -3, 3; none
  KeypointWork work = {flow.data(), kSize, fixed.data(), moving.data(), 2};
  work.axes_mm = {1, 0, 0, 0, 2, 0, 0, 0, 0.5};
  CHECK(keypoint_reference(work, nullptr) == Approx(0.5 * std::sqrt(36.0 + 2.25)));
  work.squared = true;
  CHECK(keypoint_reference(work, nullptr) == Approx((1.2 * 1.2 + 1.0) / 6.0));
  const double one = 1.0;
  work.count = &one;
  CHECK(keypoint_reference(work, nullptr) == Approx((1.2 * 1.2 + 1.0) / 3.0));
  const double none = 0.0;
  work.count = &none;
  CHECK(keypoint_reference(work, nullptr) == 0.0);
}

TEST_CASE("the gradient of key-points is that of finite differences, where they share voxels too") {
  Scene scene;
  for (const bool squared : {false, true}) {
    KeypointWork work = scene.work();
    work.squared = squared;
    std::vector<double> gradient;
    keypoint_reference(work, &gradient);
    for (std::size_t i = 0; i < scene.flow.size(); ++i) {
      const float kept = scene.flow[i];
      scene.flow[i] = kept + 0x1p-12F;
      const double above = keypoint_reference(work, nullptr);
      const double step = static_cast<double>(scene.flow[i]);
      scene.flow[i] = kept - 0x1p-12F;
      const double below = keypoint_reference(work, nullptr);
      const double width = step - static_cast<double>(scene.flow[i]);
      scene.flow[i] = kept;
      CHECK(gradient[i] == Approx((above - below) / width).epsilon(1e-5).margin(1e-9));
    }
  }
}

}  // namespace regatta::kernels
