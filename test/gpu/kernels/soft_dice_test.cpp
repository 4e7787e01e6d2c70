#include "regatta/kernels/soft_dice.hpp"

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

struct Scene {
  std::vector<std::uint8_t> fixed;
  std::vector<std::uint8_t> moving;
  std::vector<float> flow;
  SoftDice work;  ///< on the CPU

  Scene(const VolumeSize& size, int labels) : Scene(size, labels, smooth_flow(size, 3, 4.0)) {}

  Scene(const VolumeSize& size, int labels, std::vector<float> field)
      : fixed(head_labels(size, 0.0, labels)), moving(head_labels(size, 0.1, labels)), flow(std::move(field)) {
    work = {fixed.data(), moving.data(), flow.data(), size, labels};
  }
};

/// What the device makes of a scene.
struct Result {
  float loss = 0.0F;
  std::vector<float> gradient;
};

Result on_device(const Scene& scene) {
  const DeviceArray<std::uint8_t> fixed(scene.fixed);
  const DeviceArray<std::uint8_t> moving(scene.moving);
  const DeviceArray<float> flow(scene.flow);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  SoftDice work = scene.work;
  work.fixed = fixed.get();
  work.moving = moving.get();
  work.flow = flow.get();
  DeviceArray<float> slopes(soft_dice_slope_count(work.size));
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(soft_dice_scratch_bytes(work.size));
  DeviceArray<float> to_flow(scene.flow.size());
  soft_dice_forward(work, slopes.get(), loss.get(), scratch.get(), nullptr);
  soft_dice_backward(work, slopes.get(), upstream.get(), to_flow.get(), nullptr);
  wait_for_gpu();
  CHECK(slopes.margins_hold());
  CHECK(loss.margins_hold());
  CHECK(scratch.margins_hold());
  CHECK(to_flow.margins_hold());
  return {loss.values()[0], to_flow.values()};
}

void check_scene(const Scene& scene) {
  std::vector<double> expected;
  const double loss = soft_dice_reference(scene.work, &expected);
  for (double& slope : expected) {
    slope *= kUpstream;
  }
  const Result result = on_device(scene);
  CHECK(result.loss == Approx(loss).epsilon(1e-6));
  CHECK(relative_error(result.gradient, expected) < 1e-5);
  double largest = 0.0;
  double far = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    far = std::max(far, std::abs(expected[i] - static_cast<double>(result.gradient[i])));
  }
  CHECK(largest > 0.0);
  CHECK(far < 1e-5 * largest);
  const Result again = on_device(scene);
  CHECK(again.loss == result.loss);
  CHECK(same_bits(again.gradient, result.gradient));
}

}  // namespace

TEST_CASE("soft dice on the device is that of float64, in every form") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    for (const DiceSize form : {DiceSize::kSquares, DiceSize::kSums}) {
      for (const bool background : {true, false}) {
        INFO(size.n << "x" << size.d << "x" << size.h << "x" << size.w << ", form " << static_cast<int>(form)
                    << ", background " << background);
        Scene scene(size, 36);
        scene.fixed[5] = 77;  // no label's
        scene.moving[7] = 255;
        scene.work.form = form;
        scene.work.background = background;
        check_scene(scene);
      }
    }
  }
}

TEST_CASE("soft dice on the device of labels that change with every voxel, and of 255 of them") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = {2, 13, 18, 22};
  for (const int labels : {3, 255}) {
    Scene scene(size, labels, normal_values(static_cast<std::size_t>(3 * size.all()), 4, 6.0F));
    const std::vector<float> values = uniform_values(2 * scene.fixed.size(), 5, 0.0F, static_cast<float>(labels));
    for (std::size_t i = 0; i < scene.fixed.size(); ++i) {
      scene.fixed[i] = static_cast<std::uint8_t>(values[2 * i]);
      scene.moving[i] = static_cast<std::uint8_t>(values[2 * i + 1]);
    }
    for (const DiceSize form : {DiceSize::kSquares, DiceSize::kSums}) {
      scene.work.form = form;
      check_scene(scene);
    }
  }
}

TEST_CASE("soft dice: far displacements leave the volume, one that is missing makes the loss NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Scene scene(small_sizes()[0], 36);
  scene.flow[100] = 1e15F;
  scene.flow[101] = -1e15F;
  scene.flow[static_cast<std::size_t>(scene.work.size.voxels()) + 102] = 3e9F;
  check_scene(scene);
  for (const float missing : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    scene.flow[103] = missing;
    const Result result = on_device(scene);
    CHECK(std::isnan(result.loss));
    CHECK(relative_error(result.gradient, std::vector<double>(result.gradient.size())) ==
          std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("full-size soft dice agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_scene(Scene(kFullSize, 4));
}

}  // namespace regatta::kernels
