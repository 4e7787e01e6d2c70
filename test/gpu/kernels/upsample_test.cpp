#include "regatta/kernels/upsample.hpp"

#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr int kOffset = 8;  ///< of the channels within the output, where the shape has a pitch

struct Layer {
  UpsampleShape shape;
  Capability chip = capability(0);
  std::vector<Bf16> x, gradient;
  DeviceArray<Bf16> in, out, arriving, leaving;

  explicit Layer(const UpsampleShape& of)
      : shape(of),
        x(random_bf16(of.size.all() * of.channels, 1)),
        gradient(random_bf16(of.output_size().all() * of.channels_of_voxel(), 2)),
        in(x),
        out(gradient.size()),
        arriving(gradient),
        leaving(x.size()) {}

  int offset() const { return shape.output_pitch == 0 ? 0 : kOffset; }

  void queue(Stream stream) {
    upsample_forward(shape, {in.get(), out.get() + offset()}, chip, stream);
    upsample_backward(shape, {arriving.get() + offset(), leaving.get()}, chip, stream);
  }

  void poison() {
    out.poison();
    leaving.poison();
  }

  /// Against the reference, channels first .. first + count - 1.
  void check(int first, int count) {
    queue(nullptr);
    wait_for_gpu();
    const auto part = [&](const std::vector<Bf16>& all) {
      return to_doubles(some_channels(all, shape.channels, first, count));
    };
    const auto of_output = [&](const std::vector<Bf16>& all) {
      return to_doubles(some_channels(all, shape.channels_of_voxel(), offset() + first, count));
    };
    const UpsampleShape some = {shape.size, count, shape.align_corners};
    CHECK(relative_error(of_output(out.values()), upsample_reference(some, part(x))) < 2e-3);
    CHECK(relative_error(part(leaving.values()), upsample_gradient_reference(some, of_output(gradient))) < 2e-3);
    if (shape.output_pitch > 0) {
      const std::vector<Bf16> before = some_channels(out.values(), shape.output_pitch, 0, kOffset);
      CHECK(same_bits(before, std::vector<Bf16>(before.size(), kPoison)));
    }
    CHECK(out.margins_hold());
    CHECK(leaving.margins_hold());
  }
};

}  // namespace

TEST_CASE("up-sampled features and their derivative agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const bool align_corners = GENERATE(false, true);
  for (const int channels : {8, 16, 24, 32, 48, 88, 96, 128, 384}) {
    for (const VolumeSize& size : {VolumeSize{2, 6, 7, 9}, VolumeSize{1, 1, 2, 1}, VolumeSize{2, 19, 1, 3}}) {
      INFO(channels << " channels, " << size.n << "x" << size.d << "x" << size.h << "x" << size.w << ", aligned "
                    << align_corners);
      Layer layer({size, channels, align_corners});
      layer.check(0, channels);
      const std::vector<Bf16> out = layer.out.values();
      const std::vector<Bf16> leaving = layer.leaving.values();
      layer.poison();
      layer.queue(nullptr);
      wait_for_gpu();
      CHECK(same_bits(out, layer.out.values()));
      CHECK(same_bits(leaving, layer.leaving.values()));
    }
  }
}

TEST_CASE("up-sampled features of larger odd sizes: every channel") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const UpsampleShape& shape :
       {UpsampleShape{{1, 37, 45, 70}, 8}, UpsampleShape{{2, 13, 17, 19}, 48}, UpsampleShape{{1, 37, 45, 70}, 8, true},
        UpsampleShape{{2, 13, 17, 19}, 48, true}}) {
    INFO(shape.channels << " channels, aligned " << shape.align_corners);
    Layer(shape).check(0, shape.channels);
  }
}

TEST_CASE("up-sampling into some channels of a wider tensor") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const UpsampleShape& shape :
       {UpsampleShape{{1, 37, 45, 70}, 48, false, 64}, UpsampleShape{{2, 13, 17, 19}, 24, false, 64},
        UpsampleShape{{2, 6, 7, 9}, 96, false, 144}, UpsampleShape{{2, 13, 17, 19}, 48, true, 56}}) {
    INFO(shape.channels << " of " << shape.output_pitch << " channels, aligned " << shape.align_corners);
    Layer(shape).check(0, shape.channels);
  }
}

TEST_CASE("captured up-sampling gives the same bytes as uncaptured one") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 13, 17, 19}, 48, GENERATE(false, true)});
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<Bf16> leaving = layer.leaving.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.poison(); });
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(leaving, layer.leaving.values()));
}

TEST_CASE("up-sampling at full-size volumes: some of the channels") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer({{1, 80, 96, 112}, 48}).check(40, 2);
  Layer({{1, 40, 48, 56}, 96}).check(88, 8);
  Layer({{1, 80, 96, 112}, 16, true}).check(8, 2);
}

TEST_CASE("up-sampling refuses what it has no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) Bf16 memory[9];
  CHECK_THROWS_AS(upsample_forward({{1, 1, 1, 1}, 12}, {memory, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(upsample_forward({{1, 1, 1, 1}, 8}, {memory, nullptr}, chip, nullptr), BugError);
  CHECK_THROWS_AS(upsample_backward({{1, 1, 1, 1}, 8}, {memory + 1, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(upsample_forward({{1, 1, 1, 1}, 16, false, 8}, {memory, memory}, chip, nullptr), BugError);
}

}  // namespace regatta::kernels
