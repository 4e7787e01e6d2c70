// Fields and volumes between grids, checked in millimetres on oblique, anisotropic grids of unequal size.
#include "regatta/volume/resample.hpp"

#include <algorithm>
#include <cmath>

#include "regatta/base/random.hpp"
#include "support/catch.hpp"

using namespace regatta;

namespace {

const Grid kFixed = {{12, 10, 8}, {0.69, 0.1, -0.4, -12.5, -0.08, 0.7, 0.9, 30.25, 0.15, -0.2, 2.8, 7, 0, 0, 0, 1}};
const Grid kPacked = {{9, 14, 20}, {-1.1, 0.1, 0.05, -4, 0.1, 0.2, 1.0, 26, 0.02, -1.2, 0.1, 24, 0, 0, 0, 1}};
const Affine kPackedMoving = {-1.1, 0.1, 0.05, -6, 0.1, 0.2, 1.0, 29, 0.02, -1.2, 0.1, 23, 0, 0, 0, 1};

Point3 voxel_of(const Shape3& shape, std::int64_t index) {
  return {static_cast<double>(index / (shape[1] * shape[2])), static_cast<double>(index / shape[2] % shape[1]),
          static_cast<double>(index % shape[2])};
}

std::vector<float> random_values(std::size_t count, double scale) {
  const CounterRng rng(5, RandomPurpose::kSynthetic);
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<float>(scale * (rng.uniform(i) - 0.5));
  }
  return out;
}

/// Trilinear value by summing over all voxels: slow and obvious.
double naive_value(const std::vector<float>& voxels, const Shape3& shape, Point3 p, std::size_t offset = 0) {
  double sum = 0.0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    p[axis] = std::clamp(p[axis], 0.0, static_cast<double>(shape[axis] - 1));
  }
  for (std::int64_t i = 0; i < voxel_count(shape); ++i) {
    const Point3 v = voxel_of(shape, i);
    double weight = 1.0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      weight *= std::max(0.0, 1.0 - std::abs(v[axis] - p[axis]));
    }
    sum += weight == 0.0 ? 0.0 : weight * double{voxels[offset + static_cast<std::size_t>(i)]};
  }
  return sum;
}

bool in_view(const Shape3& shape, const Point3& p) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (p[axis] < -0.5 || p[axis] > static_cast<double>(shape[axis]) - 0.5) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("resampling to another grid equals a naive loop through millimetres") {
  const auto voxels = random_values(static_cast<std::size_t>(voxel_count(kPacked.shape)), 2.0);
  const auto out = resample_to_grid(voxels, kPacked, kFixed, Interpolation::kLinear, -7.0F);
  const Affine back = invert(kPacked.affine);
  int outside = 0;
  double worst = 0.0;
  for (std::int64_t i = 0; i < voxel_count(kFixed.shape); ++i) {
    const Point3 p = map_point(back, map_point(kFixed.affine, voxel_of(kFixed.shape, i)));
    const double expected = in_view(kPacked.shape, p) ? naive_value(voxels, kPacked.shape, p) : -7.0;
    outside += expected == -7.0 ? 1 : 0;
    worst = std::max(worst, std::abs(expected - double{out[static_cast<std::size_t>(i)]}));
  }
  CHECK(worst < 1e-5);
  CHECK(outside > 10);
  CHECK(outside < voxel_count(kFixed.shape) / 2);
}

TEST_CASE("resampling to the same grid gives the same voxels and labels") {
  const auto voxels = random_values(static_cast<std::size_t>(voxel_count(kFixed.shape)), 2.0);
  const auto out = resample_to_grid(voxels, kFixed, kFixed, Interpolation::kLinear);
  for (std::size_t i = 0; i < voxels.size(); ++i) {
    REQUIRE(out[i] == Approx(voxels[i]).margin(1e-6));
  }
  std::vector<std::int32_t> labels(voxels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::int32_t>(i);
  }
  CHECK(resample_labels_to_grid(labels, kFixed, kFixed) == labels);
}

TEST_CASE("a packed field on another grid moves each point where the packed arrays say") {
  const auto field = random_values(static_cast<std::size_t>(3 * voxel_count(kPacked.shape)), 3.0);
  const auto out = displacement_on_grid(field, kPacked, kPackedMoving, kFixed);
  const auto packed_voxels = static_cast<std::size_t>(voxel_count(kPacked.shape));
  const auto voxels = static_cast<std::size_t>(voxel_count(kFixed.shape));
  double worst = 0.0;
  for (std::int64_t i = 0; i < voxel_count(kFixed.shape); ++i) {
    const Point3 x = voxel_of(kFixed.shape, i);
    const Point3 g = map_point(invert(kPacked.affine), map_point(kFixed.affine, x));
    Point3 y = g;
    for (std::size_t c = 0; c < 3; ++c) {
      y[c] += naive_value(field, kPacked.shape, g, c * packed_voxels);
    }
    const Point3 expected = map_point(kPackedMoving, y);
    const auto at = static_cast<std::size_t>(i);
    const Point3 found = map_point(
        kFixed.affine, {x[0] + double{out[at]}, x[1] + double{out[voxels + at]}, x[2] + double{out[2 * voxels + at]}});
    for (std::size_t c = 0; c < 3; ++c) {
      worst = std::max(worst, std::abs(found[c] - expected[c]));
    }
  }
  CHECK(worst < 1e-4);
}

TEST_CASE("warping pulls the moving scan's value at the displaced point") {
  const auto moving = random_values(static_cast<std::size_t>(voxel_count(kPacked.shape)), 2.0);
  const auto field = random_values(static_cast<std::size_t>(3 * voxel_count(kFixed.shape)), 2.0);
  const auto out = warp_with_field(moving, kPacked, field, kFixed, Interpolation::kLinear, -7.0F);
  std::vector<std::int32_t> labels(moving.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<std::int32_t>(i) + 1;
  }
  const auto warped_labels = warp_labels_with_field(labels, kPacked, field, kFixed);
  const auto voxels = static_cast<std::size_t>(voxel_count(kFixed.shape));
  double worst = 0.0;
  for (std::size_t i = 0; i < voxels; ++i) {
    Point3 x = voxel_of(kFixed.shape, static_cast<std::int64_t>(i));
    for (std::size_t c = 0; c < 3; ++c) {
      x[c] += double{field[c * voxels + i]};
    }
    const Point3 p = map_point(invert(kPacked.affine), map_point(kFixed.affine, x));
    const bool seen = in_view(kPacked.shape, p);
    worst = std::max(worst, std::abs((seen ? naive_value(moving, kPacked.shape, p) : -7.0) - double{out[i]}));
    const auto index = [&](std::size_t axis) {
      return std::clamp<std::int64_t>(std::lround(p[axis]), 0, kPacked.shape[axis] - 1);
    };
    const auto expected = (index(0) * kPacked.shape[1] + index(1)) * kPacked.shape[2] + index(2) + 1;
    CHECK(warped_labels[i] == (seen ? expected : 0));
  }
  CHECK(worst < 1e-5);
}

TEST_CASE("one thread and several give the same bits") {
  const auto moving = random_values(static_cast<std::size_t>(voxel_count(kPacked.shape)), 2.0);
  const auto field = random_values(static_cast<std::size_t>(3 * voxel_count(kFixed.shape)), 2.0);
  CHECK(warp_with_field(moving, kPacked, field, kFixed, Interpolation::kLinear, 0.0F, 1) ==
        warp_with_field(moving, kPacked, field, kFixed, Interpolation::kLinear, 0.0F, 5));
}
