#include "regatta/kernels/jacobian.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"

namespace regatta::kernels {
namespace {

constexpr VolumeSize kSize = {2, 5, 6, 7};

/// [n, 3, d, h, w]: component c is map[c] . (d, h, w).
std::vector<float> linear_flow(const double (&map)[3][3]) {
  std::vector<float> flow(static_cast<std::size_t>(3 * kSize.all()));
  for (std::int64_t i = 0; i < kSize.all(); ++i) {
    const std::int64_t p = i % kSize.voxels();
    const auto d = static_cast<double>(p / kSize.plane());
    const auto h = static_cast<double>(p / kSize.w % kSize.h);
    const auto w = static_cast<double>(p % kSize.w);
    for (std::int64_t c = 0; c < 3; ++c) {
      flow[static_cast<std::size_t>((3 * (i / kSize.voxels()) + c) * kSize.voxels() + p)] =
          static_cast<float>(map[c][0] * d + map[c][1] * h + map[c][2] * w);
    }
  }
  return flow;
}

double of(const std::array<double, kJacobianSums>& sums, JacobianSum which) {
  return sums[static_cast<std::size_t>(which)];
}

}  // namespace

TEST_CASE("the sums of a linear map are those of its determinant, which is the same at borders") {
  const std::vector<float> flow = linear_flow({{0.5, 0.25, 0.0}, {0.0, -0.5, 0.125}, {0.25, 0.0, 1.0}});
  const double det = 1.5 * (0.5 * 2.0) - 0.25 * (0.0 - 0.125 * 0.25);
  const auto sums = jacobian_sums_reference(flow, {}, kSize, {});
  const double voxels = 2.0 * 1.0 * 2.0 * 3.0;  // two left out at each side
  CHECK(of(sums, JacobianSum::kFolds) == 0.0);
  CHECK(of(sums, JacobianSum::kVoxels) == voxels);
  CHECK(of(sums, JacobianSum::kLog) == Approx(voxels * std::log(det)));
  CHECK(of(sums, JacobianSum::kLogSquares) == Approx(voxels * std::log(det) * std::log(det)));
  CHECK(of(sums, JacobianSum::kShifted) == Approx(voxels * std::log((det + 3.0) / 4.0)));
  CHECK(of(jacobian_sums_reference(flow, {}, kSize, {.margin = 0}), JacobianSum::kLog) ==
        Approx(static_cast<double>(kSize.all()) * std::log(det)));
}

TEST_CASE("a map that turns one axis round folds everywhere, and its logarithms are held") {
  const auto sums = jacobian_sums_reference(linear_flow({{0, 0, 0}, {0, -3, 0}, {0, 0, 0}}), {}, kSize, {.margin = 0});
  const auto voxels = static_cast<double>(kSize.all());
  CHECK(of(sums, JacobianSum::kFolds) == voxels);
  CHECK(of(sums, JacobianSum::kLog) == Approx(voxels * std::log(1e-9)));
  CHECK(of(sums, JacobianSum::kShifted) == Approx(voxels * std::log(1.0 / 4.0)));
  const auto flat = jacobian_sums_reference(linear_flow({{0, 0, 0}, {0, -1, 0}, {0, 0, 0}}), {}, kSize, {});
  CHECK(of(flat, JacobianSum::kFolds) == voxels);  // 0 is not above 0
}

TEST_CASE("a field of zeros adds nothing to the logarithms; a mask says which voxels count, and NaN is seen") {
  std::vector<float> flow(static_cast<std::size_t>(3 * kSize.all()), 0.0F);
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(kSize.all()), 1);
  mask[static_cast<std::size_t>(2 * kSize.plane() + 2 * kSize.w + 2)] = 0;
  auto sums = jacobian_sums_reference(flow, mask, kSize, {});
  CHECK(of(sums, JacobianSum::kVoxels) == 11.0);
  CHECK(of(sums, JacobianSum::kLogSquares) == 0.0);
  CHECK(of(sums, JacobianSum::kShiftedSquares) == 0.0);
  flow[static_cast<std::size_t>(2 * kSize.plane() + 3 * kSize.w + 3)] = std::numeric_limits<float>::quiet_NaN();
  sums = jacobian_sums_reference(flow, mask, kSize, {});
  CHECK(of(sums, JacobianSum::kFolds) == 6.0);  // the neighbours; a voxel's own displacement is not in its differences
  CHECK(std::isnan(of(sums, JacobianSum::kLog)));
}

}  // namespace regatta::kernels
