// Affine transforms of heads: composition by hand, displacement against a loop and LibTorch's own sampler, inverse.
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/affine_grid_generator.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/grid_sampler_3d.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "nn/layers/affine.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

constexpr double kQuarter = std::numbers::pi / 2.0;

at::Tensor row(const std::vector<double>& values) {
  return at::tensor(values, at::TensorOptions().dtype(at::kDouble)).unsqueeze(0);
}

AffineParts parts_of(const std::vector<double>& rotation, const std::vector<double>& scale,
                     const std::vector<double>& shear, const std::vector<double>& translation) {
  return {.rotation = row(rotation), .scale = row(scale), .shear = row(shear), .translation = row(translation)};
}

AffineParts slight() {
  return parts_of({0.1, -0.05, 0.2}, {1.1, 0.9, 1.05}, {0.02, -0.03, 0.04, 0.01, -0.02, 0.03}, {0.05, -0.1, 0.02});
}

}  // namespace

TEST_CASE("affine parts compose as shear, scale, z, y, x, worked out by hand") {
  // Rz Rx of quarter turns: [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]; rows scaled; then half of the first row to the second.
  const at::Tensor matrix =
      affine_matrix(parts_of({kQuarter, 0, kQuarter}, {2, 3, 0.5}, {std::atan(0.5), 0, 0, 0, 0, 0}, {7, 8, 9}));
  const at::Tensor expected = row({0, 0, 2, 7, -3, 0, 1, 8, 0, -0.5, 0, 9}).view({1, 3, 4});
  CHECK((matrix - expected).abs().max().item<double>() < 1e-12);
  // Ry of a quarter turn: x' = -z, z' = x.
  const at::Tensor about_y = affine_matrix(parts_of({0, kQuarter, 0}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}, {0, 0, 0}));
  CHECK((about_y - row({0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, 0}).view({1, 3, 4})).abs().max().item<double>() < 1e-12);
  // The six angles fill the matrix column by column.
  const std::vector<double> angles = {std::atan(.1), std::atan(.2), std::atan(.3),
                                      std::atan(.4), std::atan(.5), std::atan(.6)};
  const at::Tensor sheared = affine_matrix(parts_of({0, 0, 0}, {1, 1, 1}, angles, {0, 0, 0}));
  CHECK((sheared - row({1, .3, .5, 0, .1, 1, .6, 0, .2, .4, 1, 0}).view({1, 3, 4})).abs().max().item<double>() < 1e-12);
}

TEST_CASE("a quarter turn about z moves the voxels of a cube as worked out by hand, in either grid") {
  const at::Tensor matrix = affine_matrix(parts_of({0, 0, kQuarter}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}, {0, 0, 0}));
  for (const bool align_corners : {false, true}) {
    const at::Tensor flow = affine_displacement(matrix, {5, 5, 5}, align_corners);
    // x' = y, y' = -x: voxel (d, h, w) reads (d, 4 - w, h).
    CHECK(flow[0][0].abs().max().item<double>() < 1e-12);
    CHECK(flow[0][1][3][1][0].item<double>() == Approx(3.0));
    CHECK(flow[0][2][3][1][0].item<double>() == Approx(1.0));
    CHECK(flow[0][1][2][4][3].item<double>() == Approx(-3.0));
    CHECK(flow[0][2][2][4][3].item<double>() == Approx(1.0));
  }
}

TEST_CASE("affine displacement equals a loop over voxels") {
  const at::Tensor matrix = affine_matrix(slight());
  const std::array<std::int64_t, 3> size = {4, 5, 7};
  for (const bool align_corners : {false, true}) {
    INFO("align corners " << align_corners);
    const at::Tensor flow = affine_displacement(matrix, size, align_corners);
    REQUIRE(flow.sizes() == at::IntArrayRef({1, 3, 4, 5, 7}));
    double worst = 0.0;
    for (std::int64_t i = 0; i < 4 * 5 * 7; ++i) {
      const std::array<std::int64_t, 3> voxel = {i / 35, i / 7 % 5, i % 7};
      std::array<double, 3> xyz{};
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const auto n = static_cast<double>(size[axis]);
        const auto p = static_cast<double>(voxel[axis]);
        xyz[2 - axis] = align_corners ? 2.0 * p / (n - 1.0) - 1.0 : (2.0 * p + 1.0) / n - 1.0;
      }
      for (std::int64_t axis = 0; axis < 3; ++axis) {
        double to = matrix[0][2 - axis][3].item<double>();
        for (std::int64_t k = 0; k < 3; ++k) {
          to += matrix[0][2 - axis][k].item<double>() * xyz[static_cast<std::size_t>(k)];
        }
        const auto n = static_cast<double>(size[static_cast<std::size_t>(axis)]);
        const double reads = align_corners ? (to + 1.0) / 2.0 * (n - 1.0) : ((to + 1.0) * n - 1.0) / 2.0;
        const double got = flow[0][axis][voxel[0]][voxel[1]][voxel[2]].item<double>();
        worst = std::max(worst, std::abs(got - (reads - static_cast<double>(voxel[static_cast<std::size_t>(axis)]))));
      }
    }
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("an affine warp equals LibTorch's affine_grid and grid_sample with the same setting") {
  const at::Tensor matrix =
      at::cat({affine_matrix(slight()),
               affine_matrix(parts_of({0.3, 0, 0}, {1, 1.2, 0.8}, {0, 0, 0, 0.1, 0, 0}, {0, 0, 0.2}))});
  const at::Tensor volume = at::cat({noise(6, 5, 8, 1), noise(6, 5, 8, 2)});
  for (const bool align_corners : {false, true}) {
    const at::Tensor grid = at::affine_grid_generator(matrix, at::IntArrayRef({2, 1, 6, 5, 8}), align_corners);
    const at::Tensor expected = at::grid_sampler_3d(volume, grid, 0, 0, align_corners);
    CHECK(relative_difference(warp(volume, affine_displacement(matrix, {6, 5, 8}, align_corners)), expected) < 1e-10);
  }
}

TEST_CASE("an affine transform after its inverse is the identity wherever it stays inside") {
  const at::Tensor matrix = affine_matrix(slight());
  for (const bool align_corners : {false, true}) {
    const at::Tensor flow = affine_displacement(matrix, {12, 10, 14}, align_corners);
    const at::Tensor inverse = affine_displacement(inverse_affine(matrix), {12, 10, 14}, align_corners);
    const at::Tensor both = compose(flow, inverse);
    CHECK(flow.narrow(2, 4, 4).narrow(3, 3, 4).narrow(4, 4, 6).abs().max().item<double>() > 0.5);
    CHECK(both.narrow(2, 4, 4).narrow(3, 3, 4).narrow(4, 4, 6).abs().max().item<double>() < 1e-10);
  }
}

TEST_CASE("an affine displacement has the gradients of finite differences, its inverse too") {
  const at::Tensor weight = at::cat({noise(3, 4, 5, 1), noise(3, 4, 5, 2), noise(3, 4, 5, 3)}, 1);
  AffineParts parts = slight();
  const auto value = [&] {
    const at::Tensor matrix = affine_matrix(parts);
    return (affine_displacement(matrix, {3, 4, 5}, true) * weight).sum() +
           (affine_displacement(inverse_affine(matrix), {3, 4, 5}, false) * weight).sum();
  };
  for (at::Tensor* part : {&parts.rotation, &parts.scale, &parts.shear, &parts.translation}) {
    part->set_requires_grad(true);
  }
  value().backward();
  const at::NoGradGuard no_grad;
  for (const at::Tensor* part : {&parts.rotation, &parts.scale, &parts.shear, &parts.translation}) {
    for (std::int64_t i = 0; i < part->numel(); ++i) {
      const at::Tensor entry = part->select(1, i);
      entry.add_(1e-5);
      const double above = value().item<double>();
      entry.sub_(2e-5);
      const double below = value().item<double>();
      entry.add_(1e-5);
      CHECK(part->grad()[0][i].item<double>() == Approx((above - below) / 2e-5).epsilon(1e-6).margin(1e-6));
    }
  }
}

TEST_CASE("affine parts of a wrong shape are refused") {
  AffineParts parts = slight();
  parts.shear = row({0, 0, 0});
  CHECK_THROWS_WITH(affine_matrix(parts), Catch::Contains("affine shear [1, 3], expected [N, 6]"));
  CHECK_THROWS_WITH(affine_displacement(at::zeros({1, 4, 4}), {2, 2, 2}, true),
                    Catch::Contains("affine matrix [1, 4, 4], expected [N, 3, 4]"));
}

}  // namespace regatta::test
