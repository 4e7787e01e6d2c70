// The CPU forms of attention over neighbours, of warped features and of means, by hand and by finite differences.
#include <cmath>
#include <functional>

#include "regatta/base/error.hpp"
#include "regatta/kernels/feature_warp.hpp"
#include "regatta/kernels/mean_pool.hpp"
#include "regatta/kernels/neighbourhood_attention.hpp"
#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr Capability kH200 = {9, 0, 132, 232448};

/// Between -1 and 1 in 64ths: with a 64th added or taken away, bf16 still holds them.
std::vector<Bf16> sixty_fourths(std::int64_t count, unsigned seed) {
  std::vector<Bf16> values;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    values.push_back(to_bf16((static_cast<float>(seed >> 26U) - 32.0F) / 64.0F));
  }
  return values;
}

std::vector<float> floats(const std::vector<Bf16>& values, float scale) {
  std::vector<float> out;
  for (const Bf16 value : values) {
    out.push_back(scale * to_float(value));
  }
  return out;
}

template <class A, class B>
double product(const std::vector<A>& a, const std::vector<B>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

/// Every 7th element's derivative, by central differences of one 64th.
void check_derivative(std::vector<Bf16>& values, const std::vector<double>& gradient,
                      const std::function<double()>& loss, double margin) {
  constexpr float kStep = 1.0F / 64.0F;
  REQUIRE(gradient.size() == values.size());
  for (std::size_t i = 0; i < values.size(); i += 7) {
    const Bf16 before = values[i];
    values[i] = to_bf16(to_float(before) + kStep);
    const double above = loss();
    values[i] = to_bf16(to_float(before) - kStep);
    const double below = loss();
    values[i] = before;
    CHECK(gradient[i] == Approx((above - below) / (2.0 * static_cast<double>(kStep))).margin(margin));
  }
}

}  // namespace

TEST_CASE("a query finds its match at the softmax mean of the offsets, times the factor") {
  const NeighbourhoodShape shape = {{1, 1, 1, 1}, 8, false};
  std::vector<Bf16> query(8, to_bf16(0.0F));
  query[3] = to_bf16(2.0F);
  std::vector<Bf16> key(27 * 8, to_bf16(0.0F));
  key[(2 * 9 + 1 * 3 + 0) * 8 + 3] = to_bf16(4.0F);  // offset (1, 0, -1)
  const double weight = std::exp(8.0 / std::sqrt(8.0));
  const std::vector<double> found = neighbourhood_reference(shape, query.data(), key.data(), 0.5);
  CHECK(found[0] == Approx(0.5 * (weight - 1.0) / (weight + 26.0)));
  CHECK(found[1] == Approx(0.0).margin(1e-12));
  CHECK(found[2] == Approx(-0.5 * (weight - 1.0) / (weight + 26.0)));
  const std::vector<double> held = neighbourhood_reference({{1, 1, 1, 1}, 8, true}, query.data(), key.data(), 0.5);
  CHECK(held == std::vector<double>{0.0, 0.0, 0.0});
}

TEST_CASE("the derivatives of attention over neighbours agree with finite differences") {
  for (const bool inside : {false, true}) {
    const NeighbourhoodShape shape = {{2, 2, 3, 2}, 8, inside};
    std::vector<Bf16> query = sixty_fourths(shape.size.all() * 8, 1);
    std::vector<Bf16> key = sixty_fourths(shape.key_size().all() * 8, 2);
    const std::vector<float> g = floats(sixty_fourths(3 * shape.size.all(), 3), 1.0F);
    double factor = 0.75;
    const auto loss = [&] { return product(neighbourhood_reference(shape, query.data(), key.data(), factor), g); };
    const auto found = neighbourhood_gradient_reference(shape, query.data(), key.data(), factor, g.data());
    check_derivative(query, found.to_query, loss, 2e-6);
    check_derivative(key, found.to_key, loss, 2e-6);
    factor = 0.7501;
    const double above = loss();
    factor = 0.7499;
    CHECK(found.to_factor == Approx((above - loss()) / 0.0002).margin(1e-8));
  }
}

TEST_CASE("warped features are padded by copies of their border, and the derivatives are those of the sum") {
  for (const bool padded : {false, true}) {
    const FeatureWarpShape shape = {{2, 3, 2, 4}, 8, padded};
    std::vector<Bf16> features = sixty_fourths(shape.size.all() * 8, 1);
    std::vector<float> flow = floats(sixty_fourths(3 * shape.size.all(), 2), 2.7F);
    const std::vector<float> g = floats(sixty_fourths(shape.output_size().all() * 8, 3), 1.0F);
    std::vector<Bf16> arriving;
    for (const float value : g) {
      arriving.push_back(to_bf16(value));
    }
    const auto loss = [&] { return product(feature_warp_reference(shape, features.data(), flow.data()), g); };
    const auto found = feature_warp_gradient_reference(shape, features.data(), flow.data(), arriving.data());
    check_derivative(features, found.to_features, loss, 1e-9);
    for (std::size_t i = 0; i < flow.size(); ++i) {
      constexpr float kStep = 1e-3F;
      const float before = flow[i];
      if (std::fabs(before - std::round(before)) < 2.0F * kStep) {
        continue;
      }
      flow[i] = before + kStep;
      const double above = loss();
      const double length = static_cast<double>(flow[i]);
      flow[i] = before - kStep;
      CHECK(found.to_flow[i] == Approx((above - loss()) / (length - static_cast<double>(flow[i]))).margin(1e-5));
      flow[i] = before;
    }
  }
}

TEST_CASE("without a displacement features keep their values, and the padding is the border's") {
  const FeatureWarpShape shape = {{1, 2, 2, 2}, 8, true};
  const std::vector<Bf16> features = sixty_fourths(64, 1);
  const std::vector<float> flow(24, 0.0F);
  const std::vector<double> out = feature_warp_reference(shape, features.data(), flow.data());
  REQUIRE(out.size() == 512);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t voxel = i / 8;
    const std::size_t from = voxel / 32 * 4 + voxel / 8 % 2 * 2 + voxel / 2 % 2;
    CHECK(out[i] == to_float(features[from * 8 + i % 8]));
  }
}

TEST_CASE("means of 2x2x2 voxels leave out the last plane of odd sizes") {
  const MeanPoolShape shape = {{1, 3, 2, 2}, 8};
  const std::vector<Bf16> in = sixty_fourths(96, 1);
  const std::vector<double> out = mean_pool_reference(shape, in.data());
  REQUIRE(out.size() == 8);
  double sum = 0.0;
  for (std::size_t voxel = 0; voxel < 8; ++voxel) {
    sum += to_float(in[voxel * 8 + 5]);
  }
  CHECK(out[5] == Approx(sum / 8.0));
  const std::vector<Bf16> arriving(8, to_bf16(4.0F));
  const std::vector<double> gradient = mean_pool_gradient_reference(shape, arriving.data());
  CHECK(gradient.front() == 0.5);
  CHECK(gradient.back() == 0.0);
}

TEST_CASE("matching has kernels for multiples of 8 channels") {
  const VolumeSize size = {2, 13, 17, 19};
  CHECK(has_form(NeighbourhoodShape{size, 8, true}, kH200));
  CHECK_FALSE(has_form(NeighbourhoodShape{size, 12, true}, kH200));
  CHECK_FALSE(has_form(NeighbourhoodShape{size, 8, true}, Capability{7, 5, 68, 65536}));
  CHECK(has_form(FeatureWarpShape{size, 64, true}, kH200));
  CHECK_FALSE(has_form(FeatureWarpShape{{1, 1, 17, 19}, 64, true}, kH200));
  CHECK(has_form(MeanPoolShape{size, 24}, kH200));
  CHECK_FALSE(has_form(MeanPoolShape{size, 2}, kH200));
  CHECK(neighbourhood_scratch_bytes({{1, 2, 4, 32}, 8, true}) == std::size_t{2} * 4 * 32 * 20 + 2 * 8);
  CHECK(feature_warp_scratch_bytes({{1, 2, 4, 32}, 8, true}) == 16 + std::size_t{256} * 4 * 9);
}

}  // namespace regatta::kernels
