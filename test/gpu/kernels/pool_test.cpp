// Maxima of features and means of images.
#include <cmath>
#include <limits>
#include <vector>

#include "gpu/kernels/errors.hpp"
#include "gpu/kernels/feature_values.hpp"
#include "regatta/base/error.hpp"
#include "regatta/kernels/average_pool.hpp"
#include "regatta/kernels/max_pool.hpp"
#include "regatta/kernels/mean_pool.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

/// Few different values, so that maxima are shared, some of them NaN or infinite.
std::vector<Bf16> tied_features(const MaxPoolShape& shape) {
  std::vector<Bf16> out(static_cast<std::size_t>(shape.size.all() * shape.channels));
  in_parallel(static_cast<std::int64_t>(out.size()), [&](std::int64_t i) {
    const std::uint64_t bits = hash(static_cast<std::uint64_t>(i) + 17);
    float value = static_cast<float>(bits % 7) - 3.0F;
    if (bits % 101 == 0) {
      value = bits % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity();
    }
    out[static_cast<std::size_t>(i)] = to_bf16(value);
  });
  return out;
}

struct Layer {
  MaxPoolShape shape;
  float slope;
  bool add;
  Capability chip = capability(0);
  std::vector<Bf16> x, gradient, others;
  DeviceArray<Bf16> in, out, arriving, leaving;

  Layer(const MaxPoolShape& of, float leaky, bool with_others)
      : shape(of),
        slope(leaky),
        add(with_others),
        x(tied_features(of)),
        gradient(random_bf16(of.output_size().all() * of.channels, 2)),
        others(random_bf16(of.size.all() * of.channels, 3)),
        in(x),
        out(gradient.size()),
        arriving(gradient),
        leaving(others) {}

  void queue(Stream stream) {
    max_pool_forward(shape, {in.get(), out.get()}, chip, stream);
    max_pool_backward(shape, {in.get(), arriving.get(), slope, add ? leaving.get() : nullptr, leaving.get()}, chip,
                      stream);
  }

  void restore() {
    out.poison();
    leaving.poison();
    if (add) {
      leaving.set(others);
    }
  }
};

/// Exact: the same bits for every element, a NaN as any NaN.
bool same_maxima(const std::vector<Bf16>& a, const std::vector<float>& expected) {
  bool same = a.size() == expected.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) {
    const float value = to_float(a[i]);
    same = value == expected[i] || (std::isnan(value) && std::isnan(expected[i]));
  }
  return same;
}

void check_layer(const MaxPoolShape& shape, float slope, bool add) {
  INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                      << shape.size.w << ", slope " << slope << ", others " << add);
  Layer layer(shape, slope, add);
  layer.restore();
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<Bf16> leaving = layer.leaving.values();
  CHECK(same_maxima(out, max_pool_reference(shape, layer.x.data())));
  const std::vector<double> expected = max_pool_gradient_reference(
      shape, {layer.x.data(), layer.gradient.data(), slope, add ? layer.others.data() : nullptr, nullptr});
  std::size_t wrong = 0;  // each is a float32 sum of two, rounded to bf16: what cancels leaves the float32 rounding
  for (std::size_t i = 0; i < expected.size(); ++i) {
    wrong += std::fabs(to_float(leaving[i]) - expected[i]) <= 1e-6 + 0.004 * std::fabs(expected[i]) ? 0 : 1;
  }
  CHECK(leaving.size() == expected.size());
  CHECK(wrong == 0);
  CHECK(layer.out.margins_hold());
  CHECK(layer.leaving.margins_hold());
  layer.restore();
  layer.queue(nullptr);
  wait_for_gpu();
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(leaving, layer.leaving.values()));
}

}  // namespace

TEST_CASE("maxima and where their derivative goes are exact") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const int channels : {8, 16, 24, 48, 128}) {
    for (const bool add : {false, true}) {
      check_layer({{2, 6, 8, 10}, channels}, 1.0F, add);
      check_layer({{2, 13, 17, 19}, channels}, 0.2F, add);
    }
  }
  check_layer({{1, 37, 45, 70}, 16}, 0.2F, false);
  check_layer({{1, 2, 2, 2}, 8}, 0.2F, true);
}

TEST_CASE("maxima of full-size volumes") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  check_layer({{1, 160, 192, 224}, 8}, 0.2F, true);
}

TEST_CASE("captured maxima give the same bytes as uncaptured ones") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  Layer layer({{2, 13, 17, 19}, 16}, 0.2F, false);
  layer.queue(nullptr);
  wait_for_gpu();
  const std::vector<Bf16> out = layer.out.values();
  const std::vector<Bf16> leaving = layer.leaving.values();
  replay([&](Stream stream) { layer.queue(stream); }, [&] { layer.restore(); });
  CHECK(same_bits(out, layer.out.values()));
  CHECK(same_bits(leaving, layer.leaving.values()));
}

TEST_CASE("means of the pair of images agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  for (const VolumeSize& size :
       {VolumeSize{2, 13, 17, 19}, VolumeSize{1, 37, 45, 70}, VolumeSize{1, 1, 2, 1}, VolumeSize{1, 80, 96, 112}}) {
    INFO(size.n << "x" << size.d << "x" << size.h << "x" << size.w);
    const std::vector<Bf16> pair = random_bf16(2 * size.all(), 1);
    const DeviceArray<Bf16> in(pair);
    DeviceArray<Bf16> out(static_cast<std::size_t>(2 * average_pool_size(size).all()));
    average_pool_forward(size, in.get(), out.get(), nullptr);
    wait_for_gpu();
    CHECK(relative_error(to_doubles(out.values()), average_pool_reference(size, pair.data())) < 2e-3);
    CHECK(out.margins_hold());
  }
}

TEST_CASE("means of features and their derivative agree with float64") {
  if (!has_gpu()) {
    REGATTA_SKIP("no GPU");
  }
  const Capability chip = capability(0);
  for (const MeanPoolShape& shape :
       {MeanPoolShape{{2, 13, 17, 19}, 8}, MeanPoolShape{{1, 37, 45, 70}, 16}, MeanPoolShape{{2, 6, 8, 10}, 24},
        MeanPoolShape{{1, 2, 2, 2}, 64}, MeanPoolShape{{3, 16, 32, 64}, 8}}) {
    INFO(shape.channels << " channels, " << shape.size.n << "x" << shape.size.d << "x" << shape.size.h << "x"
                        << shape.size.w);
    const std::vector<Bf16> x = random_bf16(shape.size.all() * shape.channels, 1);
    const std::vector<Bf16> g = random_bf16(shape.output_size().all() * shape.channels, 2);
    const DeviceArray<Bf16> in(x);
    const DeviceArray<Bf16> arriving(g);
    DeviceArray<Bf16> out(g.size());
    DeviceArray<Bf16> leaving(x.size());
    mean_pool_forward(shape, in.get(), out.get(), chip, nullptr);
    mean_pool_backward(shape, arriving.get(), leaving.get(), chip, nullptr);
    wait_for_gpu();
    CHECK(relative_error(to_doubles(out.values()), mean_pool_reference(shape, x.data())) < 2.2e-3);
    // An eighth of a bf16 is one.
    CHECK(relative_error(to_doubles(leaving.values()), mean_pool_gradient_reference(shape, g.data())) == 0.0);
    CHECK(out.margins_hold());
    CHECK(leaving.margins_hold());
  }
}

TEST_CASE("pooling refuses what it has no kernels for, and missing arrays") {
  const Capability chip = {9, 0, 132, 232448};
  alignas(16) Bf16 memory[9];
  const MaxPoolShape shape = {{1, 2, 2, 2}, 8};
  CHECK_THROWS_AS(max_pool_forward({{1, 2, 1, 2}, 8}, {memory, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(max_pool_forward(shape, {memory + 1, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(max_pool_backward(shape, {memory, memory, 1.0F, nullptr, memory}, chip, nullptr), BugError);
  CHECK_THROWS_AS(max_pool_backward(shape, {memory, memory, 1.0F, memory + 1, nullptr}, chip, nullptr), BugError);
  CHECK_THROWS_AS(mean_pool_forward({{1, 2, 1, 2}, 8}, memory, memory, chip, nullptr), BugError);
  CHECK_THROWS_AS(mean_pool_forward({{1, 2, 2, 2}, 8}, memory + 1, memory, chip, nullptr), BugError);
  CHECK_THROWS_AS(mean_pool_backward({{1, 2, 2, 2}, 12}, memory, memory, chip, nullptr), BugError);
  CHECK_THROWS_AS(average_pool_forward({1, 2, 2, 2}, memory, memory, nullptr), BugError);
  CHECK_THROWS_AS(average_pool_forward({1, 0, 2, 2}, memory, memory + 2, nullptr), BugError);
}

}  // namespace regatta::kernels
