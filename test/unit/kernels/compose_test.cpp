#include "regatta/kernels/compose.hpp"

#include <cmath>
#include <random>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 4, 5, 6};
const std::size_t kCount = 3 * static_cast<std::size_t>(kSize.all());

std::vector<double> uniform(std::uint64_t seed, double low, double high) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> draw(low, high);
  std::vector<double> out(kCount);
  for (double& value : out) {
    value = draw(engine);
  }
  return out;
}

std::size_t at(std::size_t n, std::size_t c, std::size_t d, std::size_t h, std::size_t w) {
  return (((3 * n + c) * 4 + d) * 5 + h) * 6 + w;
}

/// The sum of weights x field: what `weights` is the derivative of.
double product(const std::vector<double>& weights, const std::vector<double>& field) {
  double sum = 0.0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i] * field[i];
  }
  return sum;
}

}  // namespace

TEST_CASE("composition adds the outer field where the inner one points") {
  const std::vector<double> zero(kCount, 0.0);
  const std::vector<double> outer = uniform(1, -2.0, 2.0);
  CHECK(compose_reference(outer, zero, kSize, Outside::kZero, true) == outer);
  CHECK(compose_reference(zero, outer, kSize, Outside::kBorder, true) == outer);
  std::vector<double> inner(kCount, 0.0);
  inner[at(1, 2, 1, 2, 3)] = 1.0;   // along W
  inner[at(1, 0, 3, 2, 3)] = 0.25;  // beyond the last plane
  const std::vector<double> field = compose_reference(outer, inner, kSize, Outside::kZero, true);
  CHECK(field[at(1, 0, 1, 2, 3)] == outer[at(1, 0, 1, 2, 4)]);
  CHECK(field[at(1, 2, 1, 2, 3)] == outer[at(1, 2, 1, 2, 4)] + 1.0);
  CHECK(field[at(1, 1, 3, 2, 3)] == Approx(0.75 * outer[at(1, 1, 3, 2, 3)]));
  CHECK(compose_reference(outer, inner, kSize, Outside::kBorder, false)[at(1, 1, 3, 2, 3)] ==
        Approx(outer[at(1, 1, 3, 2, 3)]));
}

TEST_CASE("the derivatives of a composition are those of finite differences") {
  std::vector<double> outer = uniform(1, -2.0, 2.0);
  std::vector<double> inner = uniform(2, -2.0, 2.0);
  const std::vector<double> weights = uniform(3, -1.0, 1.0);
  for (const Outside outside : {Outside::kZero, Outside::kBorder}) {
    for (const bool add_inner : {true, false}) {
      const ComposeGradients gradients = compose_gradient_reference(outer, inner, weights, kSize, outside, add_inner);
      const auto loss = [&] { return product(weights, compose_reference(outer, inner, kSize, outside, add_inner)); };
      const auto slope = [&](double& value) {
        const double kept = value;
        const double before = loss();
        value = kept + 1e-6;
        const double after = loss();
        value = kept;
        return (after - before) / 1e-6;
      };
      for (std::size_t i = 0; i < kCount; i += 7) {
        CHECK(gradients.to_outer[i] == Approx(slope(outer[i])).epsilon(1e-5).margin(1e-7));
        CHECK(gradients.to_inner[i] == Approx(slope(inner[i])).epsilon(1e-5).margin(1e-7));
      }
    }
  }
}

TEST_CASE("a constant velocity is integrated to itself, a linear one to its exponential") {
  const VolumeSize size = {1, 3, 3, 64};
  const auto voxels = static_cast<std::size_t>(size.voxels());
  std::vector<float> velocity(3 * voxels, 0.0F);
  for (std::size_t i = 0; i < voxels; ++i) {
    velocity[2 * voxels + i] = -0.5F * (static_cast<float>(i % 64) - 31.5F);  // towards the middle of W
  }
  const auto field = squaring_reference(velocity, size, 12, true, Outside::kBorder, {}, nullptr);
  for (std::size_t i = 0; i < voxels; i += 5) {
    const double from_middle = static_cast<double>(i % 64) - 31.5;
    CHECK(field[2 * voxels + i] == Approx((std::exp(-0.5) - 1.0) * from_middle).epsilon(1e-3));
    CHECK(field[i] == 0.0);
  }
  std::fill(velocity.begin(), velocity.end(), 2.0F);
  const auto shift = squaring_reference(velocity, size, 7, true, Outside::kBorder, {}, nullptr);
  CHECK(shift[voxels / 2] == Approx(2.0));
}

TEST_CASE("the derivative of an integrated velocity is that of finite differences") {
  const std::vector<double> start = uniform(4, -1.5, 1.5);
  std::vector<float> velocity(start.begin(), start.end());
  const std::vector<double> weights = uniform(5, -1.0, 1.0);
  for (const Outside outside : {Outside::kZero, Outside::kBorder}) {
    for (const bool scale : {true, false}) {
      std::vector<double> gradient;
      squaring_reference(velocity, kSize, 3, scale, outside, weights, &gradient);
      for (std::size_t i = 0; i < kCount; i += 13) {
        const float kept = velocity[i];
        const double before = product(weights, squaring_reference(velocity, kSize, 3, scale, outside, {}, nullptr));
        velocity[i] = kept + 0x1p-18F;
        const double moved = static_cast<double>(velocity[i]) - kept;
        const double after = product(weights, squaring_reference(velocity, kSize, 3, scale, outside, {}, nullptr));
        velocity[i] = kept;
        CHECK(gradient[i] == Approx((after - before) / moved).epsilon(2e-3).margin(1e-4));
      }
    }
  }
}

TEST_CASE("fields between the squarings take 8 or 16 bytes a voxel and step") {
  const std::size_t voxels = static_cast<std::size_t>(kSize.all());
  CHECK(squaring_field_bytes(kSize, 7, FieldStore::kHalf, true) == 6 * 8 * voxels);
  CHECK(squaring_field_bytes(kSize, 7, FieldStore::kSingle, true) == 6 * 16 * voxels);
  CHECK(squaring_field_bytes(kSize, 7, FieldStore::kHalf, false) == 2 * 8 * voxels);
  CHECK(squaring_field_bytes(kSize, 1, FieldStore::kHalf, true) == 0);
  CHECK(squaring_backward_scratch_bytes(kSize, true) - squaring_backward_scratch_bytes(kSize, false) == 12 * voxels);
}

}  // namespace regatta::kernels
