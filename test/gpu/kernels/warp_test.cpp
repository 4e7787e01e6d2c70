#include "regatta/kernels/warp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr double kWeight = 0.7;
constexpr float kUpstream = 1.5F;

/// An image in all forms and a field.
struct Scene {
  VolumeSize size;
  std::vector<std::uint8_t> bytes;
  std::vector<double> image;
  std::vector<float> flow;
  DeviceArray<std::uint8_t> device_bytes;
  DeviceArray<float> device_floats;
  DeviceArray<std::uint32_t> device_quads;
  DeviceArray<float> device_flow;

  explicit Scene(const VolumeSize& of)
      : size(of),
        bytes(head_image(of, 1)),
        image(as_intensities(bytes)),
        flow(smooth_flow(of, 2, 6.0)),
        device_bytes(bytes),
        device_floats(std::vector<float>(image.begin(), image.end())),
        device_quads(quad_count(of)),
        device_flow(flow) {
    pack_quads(device_bytes.get(), size, device_quads.get(), nullptr);
  }

  WarpSource source(SourceType type, Outside outside) const {
    const void* data = type == SourceType::kBytes    ? static_cast<const void*>(device_bytes.get())
                       : type == SourceType::kFloats ? static_cast<const void*>(device_floats.get())
                                                     : device_quads.get();
    return {data, type, outside};
  }
};

struct Form {
  SourceType type;
  Outside outside;
  Penalty penalty;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {{SourceType::kBytes, Outside::kZero, Penalty::kNone},
                                        {SourceType::kBytes, Outside::kZero, Penalty::kSquared},
                                        {SourceType::kBytes, Outside::kZero, Penalty::kAbsolute},
                                        {SourceType::kBytes, Outside::kBorder, Penalty::kNone},
                                        {SourceType::kFloats, Outside::kZero, Penalty::kNone},
                                        {SourceType::kFloats, Outside::kZero, Penalty::kSquared},
                                        {SourceType::kFloats, Outside::kZero, Penalty::kAbsolute},
                                        {SourceType::kFloats, Outside::kBorder, Penalty::kNone},
                                        {SourceType::kQuads, Outside::kZero, Penalty::kNone},
                                        {SourceType::kQuads, Outside::kZero, Penalty::kSquared},
                                        {SourceType::kQuads, Outside::kZero, Penalty::kAbsolute}};
  return all;
}

void check_forward(const Scene& scene, const Form& form, const WarpReference& expected, double loss) {
  const auto count = static_cast<std::size_t>(scene.size.all());
  DeviceArray<float> warped(count);
  DeviceArray<std::uint32_t> points(count);
  DeviceArray<float> device_loss(2);
  DeviceArray<unsigned char> scratch(diffusion_scratch_bytes(scene.size));
  WarpForward work = {scene.source(form.type, form.outside), scene.device_flow.get(), scene.size};
  work.penalty = form.penalty;
  work.weight = kWeight;
  work.scratch = scratch.get();
  work.loss = device_loss.get();
  work.warped = warped.get();
  warp_forward(work, nullptr);
  work.warped = nullptr;
  work.fixed_point = points.get();
  work.loss = device_loss.get() + 1;
  warp_forward(work, nullptr);
  wait_for_gpu();
  CHECK(relative_error(warped.values(), expected.warped) < 1e-6);
  std::vector<double> from_points;
  for (const std::uint32_t value : points.values()) {
    from_points.push_back(static_cast<double>(value) / kFixedPointOne);
  }
  CHECK(relative_error(from_points, expected.warped) < 2e-6);
  if (form.penalty != Penalty::kNone) {
    CHECK(device_loss.values()[0] == Approx(loss).epsilon(1e-6));
    CHECK(device_loss.values()[0] == device_loss.values()[1]);
  }
  CHECK(warped.margins_hold());
  CHECK(points.margins_hold());
  CHECK(device_loss.margins_hold());
  CHECK(scratch.margins_hold());
}

void check_backward(const Scene& scene, const Form& form, const std::vector<float>& to_warped,
                    const std::vector<double>& expected) {
  const auto count = static_cast<std::size_t>(scene.size.all());
  const DeviceArray<float> device_to_warped(to_warped);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> planar(3 * count);
  DeviceArray<Bf16> packed(4 * count);
  WarpBackward work = {scene.source(form.type, form.outside),
                       scene.device_flow.get(),
                       scene.size,
                       device_to_warped.get(),
                       {planar.get(), nullptr}};
  work.penalty = form.penalty;
  work.weight = kWeight;
  work.upstream = upstream.get();
  warp_backward(work, nullptr);
  work.to_flow = {nullptr, packed.get()};
  warp_backward(work, nullptr);
  wait_for_gpu();
  CHECK(relative_error(planar.values(), expected) < 1e-5);
  CHECK(relative_error(from_packed(packed.values(), scene.size), expected) < 3e-3);
  CHECK(packed.values().back().bits == 0);
  CHECK(planar.margins_hold());
  CHECK(packed.margins_hold());
}

void check_scene(const Scene& scene) {
  const auto count = static_cast<std::size_t>(scene.size.all());
  std::vector<float> to_warped(count);
  for (std::size_t i = 0; i < count; ++i) {
    to_warped[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i))) / static_cast<float>(count);
  }
  for (const Form& form : forms()) {
    INFO(scene.size.n << "x" << scene.size.d << "x" << scene.size.h << "x" << scene.size.w << ", type "
                      << static_cast<int>(form.type) << ", outside " << static_cast<int>(form.outside) << ", penalty "
                      << static_cast<int>(form.penalty));
    const WarpReference expected = warp_reference(scene.image, scene.flow, scene.size, form.outside);
    std::vector<double> to_flow(3 * count, 0.0);
    const double loss = form.penalty == Penalty::kNone
                            ? 0.0
                            : diffusion_reference(scene.flow, scene.size, form.penalty, kWeight, &to_flow);
    const auto voxels = static_cast<std::size_t>(scene.size.voxels());
    for (std::size_t i = 0; i < to_flow.size(); ++i) {
      const std::size_t voxel = i / (3 * voxels) * voxels + i % voxels;
      to_flow[i] = to_flow[i] * kUpstream + expected.gradient[i] * to_warped[voxel];
    }
    check_forward(scene, form, expected, loss);
    check_backward(scene, form, to_warped, to_flow);
  }
}

void check_diffusion(const VolumeSize& size, Penalty penalty, DiffusionUnits units) {
  INFO(size.d << "x" << size.h << "x" << size.w << ", units " << static_cast<int>(units));
  const std::vector<float> flow = smooth_flow(size, 5, 2.0);
  const DeviceArray<float> device_flow(flow);
  const DeviceArray<float> upstream(std::vector<float>{kUpstream});
  DeviceArray<float> loss(1);
  DeviceArray<unsigned char> scratch(diffusion_scratch_bytes(size));
  DeviceArray<float> planar(flow.size());
  DeviceArray<Bf16> packed(flow.size() / 3 * 4);
  diffusion_forward(device_flow.get(), size, penalty, kWeight, loss.get(), scratch.get(), nullptr, units);
  for (const FieldGradient& to : {FieldGradient{planar.get(), nullptr}, FieldGradient{nullptr, packed.get()}}) {
    diffusion_backward(device_flow.get(), size, penalty, kWeight, upstream.get(), to, nullptr, units);
  }
  wait_for_gpu();
  std::vector<double> expected;
  const double value = diffusion_reference(flow, size, penalty, kWeight, &expected, units);
  for (double& slope : expected) {
    slope *= kUpstream;
  }
  CHECK(loss.values()[0] == Approx(value).epsilon(1e-6));
  CHECK(relative_error(planar.values(), expected) < 1e-5);
  CHECK(relative_error(from_packed(packed.values(), size), expected) < 3e-3);
  CHECK(planar.margins_hold());
  CHECK(packed.margins_hold());
  CHECK(scratch.margins_hold());
}

}  // namespace

TEST_CASE("warp and its gradient on the device agree with float64 in every form") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    check_scene(Scene(size));
  }
}

TEST_CASE("the diffusion loss alone agrees with float64, in voxels and in LKU-Net's units") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : small_sizes()) {
    for (const Penalty penalty : {Penalty::kSquared, Penalty::kAbsolute}) {
      for (const DiffusionUnits units : {DiffusionUnits::kVoxels, DiffusionUnits::kLku}) {
        check_diffusion(size, penalty, units);
      }
    }
  }
}

TEST_CASE("far and missing displacements: zero beyond the volume, NaN where a number is missing") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = small_sizes()[0];
  Scene scene(size);
  const auto voxels = static_cast<std::size_t>(size.voxels());
  scene.flow[100] = 1e30F;
  scene.flow[101] = -1e30F;
  scene.flow[voxels + 102] = 3e9F;
  scene.flow[103] = std::numeric_limits<float>::quiet_NaN();
  scene.flow[2 * voxels + 104] = std::numeric_limits<float>::infinity();
  scene.device_flow.set(scene.flow);
  for (const SourceType type : {SourceType::kBytes, SourceType::kFloats, SourceType::kQuads}) {
    DeviceArray<float> warped(voxels);
    DeviceArray<std::uint32_t> points(voxels);
    WarpForward work = {scene.source(type, Outside::kZero), scene.device_flow.get(), size, warped.get()};
    warp_forward(work, nullptr);
    work.warped = nullptr;
    work.fixed_point = points.get();
    warp_forward(work, nullptr);
    wait_for_gpu();
    const std::vector<float> values = warped.values();
    const std::vector<std::uint32_t> fixed = points.values();
    for (const std::size_t far : {100, 101, 102}) {
      CHECK(values[far] == 0.0F);
      CHECK(fixed[far] == 0U);
    }
    for (const std::size_t missing : {103, 104}) {
      CHECK(std::isnan(values[missing]));
      CHECK(fixed[missing] == kFixedPointInvalid);
    }
  }
}

TEST_CASE("a full-size warp agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Scene scene(kFullSize);
  const WarpReference expected = warp_reference(scene.image, scene.flow, kFullSize, Outside::kZero);
  const double loss = diffusion_reference(scene.flow, kFullSize, Penalty::kSquared, kWeight, nullptr);
  check_forward(scene, {SourceType::kQuads, Outside::kZero, Penalty::kSquared}, expected, loss);
  check_forward(scene, {SourceType::kBytes, Outside::kZero, Penalty::kSquared}, expected, loss);
}

}  // namespace regatta::kernels
