// The spatial transformer against hand-made cases and a naive loop.
#include <cmath>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/error.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/warp.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

/// Trilinear sample of a [D, H, W] double volume at a point, zero outside.
double naive_sample(const at::Tensor& volume, double d, double h, double w) {
  const auto access = volume.accessor<double, 3>();
  const auto value = [&](double z, double y, double x) {
    const bool inside = z >= 0 && y >= 0 && x >= 0 && z < static_cast<double>(volume.size(0)) &&
                        y < static_cast<double>(volume.size(1)) && x < static_cast<double>(volume.size(2));
    return inside ? access[static_cast<std::int64_t>(z)][static_cast<std::int64_t>(y)][static_cast<std::int64_t>(x)]
                  : 0.0;
  };
  double sum = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    const double z = std::floor(d) + (corner & 1);
    const double y = std::floor(h) + ((corner >> 1) & 1);
    const double x = std::floor(w) + ((corner >> 2) & 1);
    sum += (1.0 - std::abs(d - z)) * (1.0 - std::abs(h - y)) * (1.0 - std::abs(w - x)) * value(z, y, x);
  }
  return sum;
}

at::Tensor wavy_field(std::int64_t D, std::int64_t H, std::int64_t W) {
  at::Tensor flow = at::zeros({1, 3, D, H, W}, at::TensorOptions().dtype(at::kDouble));
  for (std::int64_t c = 0; c < 3; ++c) {
    flow.select(1, c).copy_(noise(D, H, W, 10 + static_cast<std::uint64_t>(c)).select(1, 0).mul(6.0).sub(3.0));
  }
  return flow;
}

}  // namespace

TEST_CASE("warping by a zero field is the identity") {
  const at::Tensor image = golden_image(5, 6, 7, 0.3);
  const at::Tensor zero = at::zeros({1, 3, 5, 6, 7}, at::TensorOptions().dtype(at::kFloat));
  CHECK(relative_difference(warp(image, zero), image) < 1e-5);
}

TEST_CASE("the warp reads at p + u(p), components in the order D, H, W, zero outside") {
  const at::Tensor image = golden_image(5, 6, 7, 0.3);
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    INFO("axis " << axis);
    at::Tensor flow = at::zeros({1, 3, 5, 6, 7}, at::TensorOptions().dtype(at::kFloat));
    flow.select(1, axis).fill_(2.0);
    const at::Tensor warped = warp(image, flow);
    const std::int64_t size = image.size(2 + axis);
    CHECK(relative_difference(warped.narrow(2 + axis, 0, size - 2), image.narrow(2 + axis, 2, size - 2)) < 1e-5);
    CHECK(warped.narrow(2 + axis, size - 2, 2).abs().max().item<double>() < 1e-5);
  }
}

TEST_CASE("the warp agrees with a naive loop at odd sizes") {
  const at::Tensor image = noise(5, 7, 9, 1);
  const at::Tensor flow = wavy_field(5, 7, 9);
  const at::Tensor warped = warp(image, flow);
  double worst = 0.0;
  for (std::int64_t d = 0; d < 5; ++d) {
    for (std::int64_t h = 0; h < 7; ++h) {
      for (std::int64_t w = 0; w < 9; ++w) {
        const auto at_point = [&](std::int64_t c) { return flow[0][c][d][h][w].item<double>(); };
        const double expected =
            naive_sample(image[0][0], static_cast<double>(d) + at_point(0), static_cast<double>(h) + at_point(1),
                         static_cast<double>(w) + at_point(2));
        worst = std::max(worst, std::abs(expected - warped[0][0][d][h][w].item<double>()));
      }
    }
  }
  CHECK(worst < 1e-12);
}

TEST_CASE("the warp's gradient to the field agrees with finite differences") {
  const at::Tensor image = noise(5, 7, 9, 1);
  const at::Tensor flow = wavy_field(5, 7, 9);
  const at::Tensor weights = noise(5, 7, 9, 2);
  flow.set_requires_grad(true);
  (warp(image, flow).mul(weights)).sum().backward();
  const at::NoGradGuard no_grad;
  const double step = 1e-6;
  for (const std::int64_t index : {0, 100, 333, 555, 777, 944}) {
    INFO("element " << index);
    const at::Tensor flat = flow.detach().view(-1);
    const double kept = flat[index].item<double>();
    flat[index].fill_(kept + step);
    const double above = warp(image, flow).mul(weights).sum().item<double>();
    flat[index].fill_(kept - step);
    const double below = warp(image, flow).mul(weights).sum().item<double>();
    flat[index].fill_(kept);
    CHECK(flow.grad().view(-1)[index].item<double>() ==
          Approx((above - below) / (2 * step)).epsilon(1e-5).margin(1e-8));
  }
}

TEST_CASE("labels are warped by nearest neighbour and stay uint8") {
  at::Tensor labels = at::zeros({1, 1, 4, 5, 6}, at::TensorOptions().dtype(at::kByte));
  labels[0][0][2][3][4] = 200;
  at::Tensor flow = at::zeros({1, 3, 4, 5, 6}, at::TensorOptions().dtype(at::kFloat));
  flow.select(1, 0).fill_(0.6);
  flow.select(1, 1).fill_(-0.4);
  const at::Tensor warped = warp_labels(labels, flow);
  CHECK(warped.scalar_type() == at::kByte);
  CHECK(warped[0][0][1][3][4].item<int>() == 200);
  CHECK(warped.sum().item<std::int64_t>() == 200);
  CHECK(warp_labels(labels.repeat({2, 1, 1, 1, 1}), flow.repeat({2, 1, 1, 1, 1}))[1].equal(warped[0]));
}

TEST_CASE(
    "labels take the nearest voxel that a naive loop finds, on a grid of their own too; NaN and far points give 0") {
  const auto type = GENERATE(at::kByte, at::kShort);
  const auto edge = GENERATE(LabelEdge::kCentres, LabelEdge::kHalfVoxel);
  const bool own_grid = GENERATE(false, true);
  const at::Tensor labels = (own_grid ? noise(4, 9, 8, 1) : noise(5, 7, 9, 1)).mul(255.0).to(type);
  const at::Tensor flow = wavy_field(5, 7, 9);
  flow[0][0][1][1][1].fill_(std::nan(""));
  flow[0][1][2][1][1].fill_(1e30);
  const at::Tensor warped = warp_labels(labels, flow, edge);
  CHECK(warped.scalar_type() == type);
  const double beyond = edge == LabelEdge::kHalfVoxel ? 0.5 : 0.0;
  int wrong = 0;
  for (std::int64_t n = 0; n < 5 * 7 * 9; ++n) {
    const std::int64_t p[3] = {n / 63, n / 9 % 7, n % 9};
    std::int64_t q[3] = {};
    bool inside = true;
    for (std::int64_t c = 0; c < 3; ++c) {
      const double point = static_cast<double>(p[c]) + flow[0][c][p[0]][p[1]][p[2]].item<double>();
      const double end = static_cast<double>(labels.size(2 + c) - 1) + beyond;
      inside = inside && point >= -beyond && (beyond > 0.0 ? point < end : point <= end);
      q[c] = inside ? static_cast<std::int64_t>(std::floor(point + 0.5)) : 0;
    }
    const int expected = inside ? labels[0][0][q[0]][q[1]][q[2]].item<int>() : 0;
    wrong += warped[0][0][p[0]][p[1]][p[2]].item<int>() != expected ? 1 : 0;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a volume on a grid of its own is read at its own voxels; on the field's grid it is the warp") {
  const at::Tensor volume = noise(4, 9, 8, 3);
  const at::Tensor flow = wavy_field(5, 7, 9);
  const at::Tensor warped = warp_between(volume, flow);
  REQUIRE(warped.sizes() == at::IntArrayRef({1, 1, 5, 7, 9}));
  double worst = 0.0;
  for (std::int64_t n = 0; n < 5 * 7 * 9; ++n) {
    const std::int64_t d = n / 63;
    const std::int64_t h = n / 9 % 7;
    const std::int64_t w = n % 9;
    const auto there = [&](std::int64_t c, std::int64_t at) {
      return static_cast<double>(at) + flow[0][c][d][h][w].item<double>();
    };
    const double expected = naive_sample(volume[0][0], there(0, d), there(1, h), there(2, w));
    worst = std::max(worst, std::abs(warped[0][0][d][h][w].item<double>() - expected));
  }
  CHECK(worst < 1e-9);
  const at::Tensor same = noise(5, 7, 9, 4);
  CHECK(warp_between(same, flow).equal(warp(same, flow)));
  CHECK_THROWS_AS(warp_between(volume, at::zeros({1, 2, 5, 7, 9}, at::kDouble)), DataError);
}

TEST_CASE("the warp refuses shapes that do not fit") {
  const at::Tensor image = golden_image(4, 4, 4, 0.0);
  CHECK_THROWS_AS(warp(image, at::zeros({1, 2, 4, 4, 4})), DataError);
  CHECK_THROWS_AS(warp(image, at::zeros({1, 3, 4, 4, 5})), DataError);
  CHECK_THROWS_AS(warp(golden_image(1, 4, 4, 0.0), at::zeros({1, 3, 1, 4, 4})), DataError);
  CHECK_THROWS_WITH(warp_labels(image, at::zeros({1, 3, 4, 4, 4})),
                    Catch::Contains("labels are Float [1, 1, 4, 4, 4], expected uint8 or int16"));
}

}  // namespace regatta::test
