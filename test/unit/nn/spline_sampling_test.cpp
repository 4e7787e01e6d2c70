// The interpolating spline against numbers of scipy's map_coordinates(order=3).
#include "nn/ops/spline_sampling.hpp"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "support/catch.hpp"

namespace regatta::test {
namespace {

/// sin(1.3 d + 0.7 h - 0.9 w) + 0.1 d w on 5x2x4.
at::Tensor wave() {
  at::Tensor volume = at::empty({5, 2, 4}, at::TensorOptions().dtype(at::kDouble));
  auto value = volume.accessor<double, 3>();
  for (int d = 0; d < 5; ++d) {
    for (int h = 0; h < 2; ++h) {
      for (int w = 0; w < 4; ++w) {
        value[d][h][w] = std::sin(1.3 * d + 0.7 * h - 0.9 * w) + 0.1 * d * w;
      }
    }
  }
  return volume;
}

double at_point(double d, double h, double w) {
  const at::Tensor point = at::tensor({d, h, w}, at::TensorOptions().dtype(at::kDouble)).view({1, 3});
  return sample_cubic_spline(wave(), point).item<double>();
}

}  // namespace

TEST_CASE("the cubic spline gives scipy's values between voxels and near borders") {
  CHECK(at_point(2.5, 0.5, 1.25) == Approx(0.9313968032682198).epsilon(1e-12));
  CHECK(at_point(0.1, 0.9, 2.9) == Approx(-0.8929628822897333).epsilon(1e-12));
  CHECK(at_point(3.75, 0.2, 0.4) == Approx(-0.7687786790965455).epsilon(1e-12));
}

TEST_CASE("the cubic spline passes through the voxels, the corners too, and is 0 outside them") {
  const auto value = wave();
  CHECK(at_point(4, 1, 3) == Approx(value[4][1][3].item<double>()).epsilon(1e-12));
  CHECK(at_point(3, 0, 2) == Approx(value[3][0][2].item<double>()).epsilon(1e-12));
  CHECK(std::abs(at_point(0, 0, 0)) < 1e-12);
  CHECK(at_point(4.01, 0, 1) == 0.0);
  CHECK(at_point(1, -0.01, 2) == 0.0);
  CHECK(at_point(std::nan(""), 0, 1) == 0.0);
}

TEST_CASE("a line of one voxel is constant along that axis") {
  const at::Tensor volume = at::arange(6, at::TensorOptions().dtype(at::kFloat)).view({1, 6, 1});
  const at::Tensor points = at::tensor({0.0, 3.0, 0.0}, at::TensorOptions().dtype(at::kFloat)).view({1, 3});
  CHECK(sample_cubic_spline(volume, points).item<double>() == Approx(3.0).epsilon(1e-12));
}

}  // namespace regatta::test
