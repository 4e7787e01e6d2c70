#include "regatta/kernels/keypoint.hpp"

#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr float kUpstream = 1.5F;
constexpr std::array<double, 9> kAxes = {0.0, 1.5, 0.1, 2.0, 0.0, 0.0, 0.0, 0.2, -1.0};

struct Scene {
  VolumeSize size;
  std::vector<float> flow, fixed, moving;
  int real = -1;  ///< points that count; -1: all, and the axes do not lie on the device
  bool squared = false;

  int points() const { return static_cast<int>(fixed.size() / 3); }
};

/// Points all over the volume and a little beyond, many to a voxel where there are many.
Scene scene_of(const VolumeSize& size, int points) {
  Scene scene = {size, normal_values(static_cast<std::size_t>(3 * size.voxels()), 1), {}, {}};
  const std::vector<float> unit = uniform_values(static_cast<std::size_t>(6 * points), 2, -0.02F, 1.02F);
  const std::int64_t lengths[3] = {size.d, size.h, size.w};
  for (int i = 0; i < 3 * points; ++i) {
    const auto length = static_cast<float>(lengths[i % 3] - 1);
    const auto at = static_cast<std::size_t>(i);
    scene.fixed.push_back(unit[2 * at] * length);
    scene.moving.push_back(unit[2 * at + 1] * length);
  }
  return scene;
}

struct Result {
  float loss = 0.0F;
  std::vector<float> gradient;
};

Result on_device(const Scene& scene) {
  const DeviceArray<float> flow(scene.flow);
  const DeviceArray<float> fixed(scene.fixed);
  const DeviceArray<float> moving(scene.moving);
  const DeviceArray<double> count(std::vector<double>{static_cast<double>(scene.real)});
  const DeviceArray<double> axes(std::vector<double>(kAxes.begin(), kAxes.end()));
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> slopes(scene.fixed.size());
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(keypoint_scratch_bytes(scene.points()));
  DeviceArray<float> to_flow(scene.flow.size());
  KeypointWork work = {flow.get(), scene.size, fixed.get(), moving.get(), scene.points()};
  work.squared = scene.squared;
  if (scene.real >= 0) {
    work.count = count.get();
    work.axes_on_device = axes.get();
  } else {
    work.axes_mm = kAxes;
  }
  keypoint_forward(work, slopes.get(), loss.get(), scratch.get(), nullptr);
  keypoint_backward(work, slopes.get(), upstream.get(), to_flow.get(), nullptr);
  wait_for_gpu();
  CHECK(slopes.margins_hold());
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_flow.margins_hold());
  return {loss.values()[0], to_flow.values()};
}

void check_scene(Scene scene) {
  for (const bool squared : {false, true}) {
    scene.squared = squared;
    INFO(scene.size.d << "x" << scene.size.h << "x" << scene.size.w << ", " << scene.points() << " points, "
                      << scene.real << " real, squared " << squared);
    const auto real = static_cast<double>(scene.real);
    KeypointWork work = {scene.flow.data(), scene.size, scene.fixed.data(), scene.moving.data(), scene.points()};
    work.squared = squared;
    work.axes_mm = kAxes;
    work.count = scene.real >= 0 ? &real : nullptr;
    std::vector<double> expected;
    const double loss = keypoint_reference(work, &expected);
    for (double& slope : expected) {
      slope *= kUpstream;
    }
    const Result result = on_device(scene);
    CHECK(result.loss == Approx(loss).epsilon(1e-5));
    CHECK(relative_error(result.gradient, expected) < 1e-5);
    const Result again = on_device(scene);
    CHECK(again.loss == result.loss);
    CHECK(same_bits(again.gradient, result.gradient));
  }
}

}  // namespace

TEST_CASE("errors of key-points on the device are those of float64, however many share a voxel") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : {VolumeSize{1, 13, 17, 19}, {1, 37, 45, 70}, {1, 2, 3, 2}}) {
    for (const int points : {1, 63, 700}) {
      Scene scene = scene_of(size, points);
      check_scene(scene);
      scene.real = points / 2;
      check_scene(scene);
    }
  }
}

TEST_CASE("key-points in a full-size field agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_scene(scene_of(kFullSize, 3000));
}

}  // namespace regatta::kernels
