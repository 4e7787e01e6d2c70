#include "regatta/kernels/compose.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/captured_work.hpp"
#include "gpu/kernels/device_array.hpp"
#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/random_values.hpp"
#include "gpu/kernels/volumes.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

std::vector<VolumeSize> field_sizes() {
  std::vector<VolumeSize> sizes = small_sizes();
  sizes.push_back({3, 1, 5, 40});
  sizes.push_back({1, 9, 2, 1});
  return sizes;
}

std::vector<double> as_double(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// A derivative with peaks, as a similarity's is.
std::vector<float> peaked(std::size_t count, std::uint64_t seed) {
  std::vector<float> values = normal_values(count, seed, 1e-6F);
  for (std::size_t i = 0; i < count; i += 97) {
    values[i] *= 100.0F;
  }
  return values;
}

struct ComposeCase {
  VolumeSize size;
  std::vector<float> outer;
  std::vector<float> inner;
  std::vector<float> to_field;
};

void check_compose(const ComposeCase& fields, Outside outside, bool add_inner, std::uint32_t most_overflows) {
  INFO(fields.size.n << "x" << fields.size.d << "x" << fields.size.h << "x" << fields.size.w << ", outside "
                     << static_cast<int>(outside) << ", add " << add_inner);
  const DeviceArray<float> outer(fields.outer);
  const DeviceArray<float> inner(fields.inner);
  const DeviceArray<float> to_field(fields.to_field);
  DeviceArray<float> field(fields.inner.size());
  DeviceArray<float> to_outer(fields.inner.size());
  DeviceArray<float> to_inner(fields.inner.size());
  DeviceArray<unsigned char> scratch(compose_backward_scratch_bytes(fields.size));
  DeviceArray<std::uint32_t> overflows(std::vector<std::uint32_t>{0});
  compose_forward({outer.get(), inner.get(), fields.size, outside, add_inner, field.get()}, nullptr);
  const ComposeBackward work = {outer.get(),    inner.get(),    fields.size,    outside,       add_inner,
                                to_field.get(), to_outer.get(), to_inner.get(), scratch.get(), overflows.get()};
  compose_backward(work, nullptr);
  wait_for_gpu();
  const auto o = as_double(fields.outer);
  const auto i = as_double(fields.inner);
  const auto expected = compose_gradient_reference(o, i, as_double(fields.to_field), fields.size, outside, add_inner);
  CHECK(relative_error(field.values(), compose_reference(o, i, fields.size, outside, add_inner)) < 1e-6);
  CHECK(relative_error(to_inner.values(), expected.to_inner) < 1e-5);
  CHECK(relative_error(to_outer.values(), expected.to_outer) < 3e-5);
  CHECK(overflows.values()[0] <= most_overflows);
  CHECK(field.margins_hold());
  CHECK(to_outer.margins_hold());
  CHECK(to_inner.margins_hold());
  CHECK(scratch.margins_hold());
  const std::vector<float> first = to_outer.values();
  scratch.poison();
  to_outer.poison();
  compose_backward(work, nullptr);
  wait_for_gpu();
  CHECK(same_bits(first, to_outer.values()));
}

struct SquaringRun {
  SquaringForward forward;
  DeviceArray<float> velocity;
  DeviceArray<unsigned char> fields;
  DeviceArray<float> field;
  DeviceArray<float> to_field;
  DeviceArray<float> planar;
  DeviceArray<Bf16> packed;
  DeviceArray<unsigned char> scratch;
  DeviceArray<std::uint32_t> overflows;

  SquaringRun(const SquaringForward& as, const std::vector<float>& from, const std::vector<float>& gradient)
      : forward(as),
        velocity(from),
        fields(squaring_field_bytes(as.size, as.steps, as.store, true)),
        field(from.size()),
        to_field(gradient),
        planar(from.size()),
        packed(from.size() / 3 * 4),
        scratch(squaring_backward_scratch_bytes(as.size, true)),
        overflows(std::vector<std::uint32_t>{0}) {
    forward.velocity = velocity.get();
    forward.fields = fields.get();
    forward.field = field.get();
  }

  void queue(Stream stream) {
    squaring_forward(forward, stream);
    squaring_backward({forward, to_field.get(), {planar.get(), nullptr}, scratch.get(), overflows.get()}, stream);
  }

  void queue_packed(Stream stream) {
    squaring_backward({forward, to_field.get(), {nullptr, packed.get()}, scratch.get(), nullptr}, stream);
  }

  bool margins_hold() const {
    return fields.margins_hold() && field.margins_hold() && planar.margins_hold() && packed.margins_hold() &&
           scratch.margins_hold();
  }
};

struct Tolerance {
  double field;
  double gradient;
};

void check_squaring(const SquaringForward& as, const std::vector<float>& velocity, const std::vector<float>& gradient,
                    const Tolerance& within) {
  INFO(as.size.n << "x" << as.size.d << "x" << as.size.h << "x" << as.size.w << ", outside "
                 << static_cast<int>(as.outside) << ", steps " << as.steps << ", store " << static_cast<int>(as.store));
  SquaringRun run(as, velocity, gradient);
  run.queue(nullptr);
  run.queue_packed(nullptr);
  wait_for_gpu();
  std::vector<double> to_velocity;
  const std::vector<double> field =
      squaring_reference(velocity, as.size, as.steps, as.scale, as.outside, as_double(gradient), &to_velocity);
  CHECK(relative_error(run.field.values(), field) < within.field);
  CHECK(relative_error(run.planar.values(), to_velocity) < within.gradient);
  CHECK(relative_error(from_packed(run.packed.values(), as.size), to_velocity) < within.gradient + 4e-3);
  CHECK(run.overflows.values()[0] == 0);
  CHECK(run.margins_hold());
  const std::vector<float> first = run.planar.values();
  const std::vector<float> first_field = run.field.values();
  run.scratch.poison();
  run.planar.poison();
  run.fields.poison();
  run.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(first, run.planar.values()));
  CHECK(same_bits(first_field, run.field.values()));
  run.forward.keep = false;
  run.field.poison();
  squaring_forward(run.forward, nullptr);
  wait_for_gpu();
  CHECK(same_bits(first_field, run.field.values()));
}

}  // namespace

TEST_CASE("composed fields and both derivatives agree with float64, smooth and rough") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : field_sizes()) {
    const auto count = static_cast<std::size_t>(3 * size.all());
    const ComposeCase smooth = {size, smooth_flow(size, 1, 3.0), smooth_flow(size, 2, 4.0), peaked(count, 3)};
    const ComposeCase rough = {size, normal_values(count, 4), normal_values(count, 5, 5.0F), peaked(count, 6)};
    for (const Outside outside : {Outside::kZero, Outside::kBorder}) {
      check_compose(smooth, outside, true, 0);
      check_compose(smooth, outside, false, 0);
      check_compose(rough, outside, true, 0);
    }
  }
}

TEST_CASE("squared velocities and their derivative agree with float64, the same in every run") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size : field_sizes()) {
    const std::vector<float> velocity = smooth_flow(size, 1, 2.0);
    const std::vector<float> gradient = peaked(velocity.size(), 2);
    for (const Outside outside : {Outside::kZero, Outside::kBorder}) {
      SquaringForward as;
      as.size = size;
      as.outside = outside;
      for (const int steps : {1, 2, 7}) {
        as.steps = steps;
        as.store = FieldStore::kSingle;
        check_squaring(as, velocity, gradient, {3e-6, 5e-5});
        as.store = FieldStore::kHalf;
        check_squaring(as, velocity, gradient, {1e-3, 3e-3});
      }
    }
  }
}

TEST_CASE("sums that leave 32 bits are exact, and counted") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = small_sizes()[1];
  const auto count = static_cast<std::size_t>(3 * size.all());
  const std::vector<float> to_field = uniform_values(count, 1, 0.5F, 1.0F);
  ComposeCase corner = {size, smooth_flow(size, 2, 3.0), std::vector<float>(count, -1000.0F), to_field};
  check_compose(corner, Outside::kBorder, true, 1);
  const DeviceArray<float> velocity(corner.inner);
  SquaringForward as;
  as.size = size;
  as.steps = 3;
  as.scale = false;
  as.store = FieldStore::kSingle;
  SquaringRun run(as, corner.inner, to_field);
  run.queue(nullptr);
  wait_for_gpu();
  std::vector<double> expected;
  squaring_reference(corner.inner, size, 3, false, Outside::kBorder, as_double(to_field), &expected);
  CHECK(relative_error(run.planar.values(), expected) < 5e-5);
  CHECK(run.overflows.values()[0] >= 1);
  const std::vector<float> first = run.planar.values();
  run.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(first, run.planar.values()));
}

TEST_CASE("a number that is not finite makes the whole derivative NaN") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const VolumeSize size = small_sizes()[0];
  const std::vector<float> velocity = smooth_flow(size, 1, 4.0);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> gradient = normal_values(velocity.size(), 2);
    gradient[1000] = bad;
    SquaringForward as;
    as.size = size;
    SquaringRun run(as, velocity, gradient);
    run.queue(nullptr);
    wait_for_gpu();
    const std::vector<float> values = run.planar.values();
    CHECK(std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); }));
  }
  SquaringForward as;
  as.size = size;
  SquaringRun zero(as, velocity, std::vector<float>(velocity.size(), 0.0F));
  zero.queue(nullptr);
  wait_for_gpu();
  const std::vector<float> values = zero.planar.values();
  CHECK(std::all_of(values.begin(), values.end(), [](float value) { return value == 0.0F; }));
}

TEST_CASE("captured squaring replays bit by bit what single launches do") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  SquaringForward as;
  as.size = small_sizes()[2];
  const std::vector<float> velocity = smooth_flow(as.size, 1, 4.0);
  const std::vector<float> gradient = peaked(velocity.size(), 2);
  SquaringRun single(as, velocity, gradient);
  SquaringRun captured(as, velocity, gradient);
  const CapturedWork in_graph([&](Stream stream) { captured.queue(stream); });
  for (int step = 0; step < 3; ++step) {
    const std::vector<float> next = smooth_flow(as.size, 10 + static_cast<std::uint64_t>(step), 4.0);
    single.velocity.set(next);
    captured.velocity.set(next);
    single.queue(nullptr);
    wait_for_gpu();
    in_graph.run();
    wait_for_gpu();
    CHECK(same_bits(single.field.values(), captured.field.values()));
    CHECK(same_bits(single.planar.values(), captured.planar.values()));
  }
}

TEST_CASE("a full-size squaring agrees with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const std::vector<float> velocity = smooth_flow(kFullSize, 1, 4.0);
  SquaringForward as;
  as.size = kFullSize;
  check_squaring(as, velocity, peaked(velocity.size(), 2), {1e-3, 3e-3});
}

}  // namespace regatta::kernels
