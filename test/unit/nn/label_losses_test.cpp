// Losses over labels and key-points, the deterministic adjoint of sampling, and every loss on tensors without data.
#include <cmath>
#include <vector>

#include <ATen/ops/all.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/grid_sampler_3d.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "loss_checks.hpp"
#include "nn/device/meta_kernels.hpp"
#include "nn/ops/splat.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::test {
namespace {

constexpr at::Tensor PairState::*kFlow = &PairState::flow;

at::Tensor labels(std::int64_t D, std::int64_t H, std::int64_t W, std::int64_t count, std::uint64_t seed) {
  return noise(D, H, W, seed).mul(static_cast<double>(count)).floor().to(at::kByte);
}

/// Label 4 of 5 is in the moving volume only.
PairState labelled_pair() {
  PairState pair;
  pair.label_count = 5;
  pair.fixed_labels = at::cat({labels(5, 7, 6, 4, 1), labels(5, 7, 6, 4, 2)});
  pair.moving_labels = at::cat({labels(5, 7, 6, 5, 3), labels(5, 7, 6, 4, 4)});
  pair.flow = at::cat({noise_field(5, 7, 6, 3.0, 5), noise_field(5, 7, 6, 3.0, 8)});
  return pair;
}

at::Tensor one_hot(const at::Tensor& values, std::int64_t first, std::int64_t count) {
  std::vector<at::Tensor> channels;
  for (std::int64_t label = first; label < count; ++label) {
    channels.push_back(values.eq(label).to(at::kDouble));
  }
  return at::cat(channels, 1);
}

/// All classes at once, LibTorch's own derivative.
at::Tensor plain_dice(const PairState& pair, bool squares, bool background) {
  const std::int64_t first = background ? 0 : 1;
  const at::Tensor p = warp(one_hot(pair.moving_labels, first, pair.label_count), pair.flow);
  const at::Tensor q = one_hot(pair.fixed_labels, first, pair.label_count);
  const auto sum = [](const at::Tensor& x) { return x.sum({2, 3, 4}); };
  const at::Tensor size = squares ? sum(p * p) + sum(q * q) + 1e-5 : (sum(p) + sum(q)).clamp_min(1e-5);
  return 1.0 - (sum(p * q) * 2.0 / size).mean();
}

PairState keypoint_pair() {
  PairState pair;
  pair.flow = noise_field(6, 5, 7, 3.0, 1);
  pair.moving_axes_mm = axes_of_spacing({1.5, 0.5, 2.0});
  const auto points = [](std::uint64_t seed) {
    const at::Tensor unit = noise(3, 1, 11, seed).view({3, 11}).t();
    return (unit * at::tensor({5.0, 4.0, 6.0}, at::kDouble)).to(at::kFloat);
  };
  pair.fixed_keypoints = points(4);
  pair.moving_keypoints = points(5);
  return pair;
}

/// The errors in voxels, the flow sampled by LibTorch. @return [K, 3]
at::Tensor plain_errors(const PairState& pair) {
  const at::Tensor points = pair.fixed_keypoints.to(at::kDouble);
  std::vector<at::Tensor> axes;
  for (std::int64_t axis = 2; axis >= 0; --axis) {
    axes.push_back(points.select(1, axis) * (2.0 / static_cast<double>(pair.flow.size(2 + axis) - 1)) - 1.0);
  }
  const at::Tensor grid = at::stack(axes, 1).view({1, 1, 1, -1, 3});
  const at::Tensor there = at::grid_sampler_3d(pair.flow, grid, 0, 1, true).view({3, -1}).t();
  return points + there - pair.moving_keypoints.to(at::kDouble);
}

}  // namespace

TEST_CASE("dice equals the one of all classes at once, value and gradient, in each form") {
  for (const bool squares : {true, false}) {
    for (const bool background : {true, false}) {
      const Json options = {{"denominator", squares ? "squares" : "sums"}, {"background", background}};
      check_against([&](const PairState& p) { return plain_dice(p, squares, background); }, "dice", options,
                    labelled_pair(), kFlow);
    }
  }
}

TEST_CASE("dice of equal labels is nearly 0, of disjoint ones 1, of absent labels 1 without a gradient") {
  PairState pair;
  pair.label_count = 2;
  pair.flow = at::zeros({1, 3, 4, 4, 4}, at::dtype(at::kDouble));
  pair.fixed_labels = at::zeros({1, 1, 4, 4, 4}, at::dtype(at::kByte));
  pair.moving_labels = at::zeros({1, 1, 4, 4, 4}, at::dtype(at::kByte));
  pair.fixed_labels.narrow(2, 0, 2).fill_(1);
  const Json foreground = {{"background", false}};
  CHECK(value_of("dice", pair, foreground) == 1.0);
  pair.moving_labels.narrow(2, 2, 2).fill_(1);
  CHECK(value_of("dice", pair, foreground) == Approx(1.0));
  pair.moving_labels.copy_(pair.fixed_labels);
  CHECK(value_of("dice", pair) == Approx(1.0 - 64.0 / (64.0 + 1e-5)).margin(1e-9));
  pair.fixed_labels.zero_();
  pair.moving_labels.zero_();
  for (const char* denominator : {"squares", "sums"}) {
    INFO(denominator);
    PairState leaf = pair;
    leaf.flow = pair.flow.clone().set_requires_grad(true);
    const at::Tensor value = make_loss("dice", Json{{"background", false}, {"denominator", denominator}})->value(leaf);
    value.backward();
    CHECK(value.item<double>() == 1.0);
    CHECK(leaf.flow.grad().abs().max().item<double>() == 0.0);
  }
}

TEST_CASE("dice and keypoint of a pair without labels and points are 0 and go backward") {
  for (const char* loss : {"dice", "keypoint"}) {
    INFO(loss);
    PairState pair;
    pair.flow = noise_field(3, 4, 5, 1.0, 1).set_requires_grad(true);
    const at::Tensor value = make_loss(loss, Json::object())->value(pair);
    value.mul(2.0).backward();
    CHECK(value.item<double>() == 0.0);
    CHECK(pair.flow.grad().abs().max().item<double>() == 0.0);
  }
}

TEST_CASE("keypoint is the mean distance in mm, worked out by hand") {
  PairState pair;
  pair.flow = at::zeros({1, 3, 4, 5, 6}, at::dtype(at::kDouble));
  pair.flow.select(1, 0).fill_(1.0);
  pair.moving_axes_mm = axes_of_spacing({2.0, 1.0, 0.5});
  pair.fixed_keypoints = at::tensor({1.0, 1.5, 1.0, 1.0, 1.0, 1.0}, at::kFloat).view({2, 3});
  pair.moving_keypoints = at::tensor({2.0, 1.5, 1.0, 1.0, 1.0, 5.0}, at::kFloat).view({2, 3});
  CHECK(value_of("keypoint", pair) == Approx(0.5 * std::sqrt(4.0 + 4.0)));
  const double squared = (4.0 / 16.0 + 4.0 * 16.0 / 36.0) / 6.0;  // errors 1 and -4 times 2 / size, of six components
  CHECK(value_of("keypoint", pair, Json{{"squared", true}}) == Approx(squared));
  pair.flow.set_requires_grad(true);
  make_loss("keypoint", Json::object())->value(pair).backward();
  CHECK(pair.flow.grad().isfinite().all().item<bool>());  // the first point's distance is 0
}

TEST_CASE("keypoint equals its reference, value and gradient") {
  const auto distance = [](const PairState& p) {
    return (plain_errors(p) * at::tensor({1.5, 0.5, 2.0}, at::kDouble)).square().sum(1).sqrt().mean();
  };
  const auto squared = [](const PairState& p) {
    return (plain_errors(p) * at::tensor({2.0 / 6.0, 2.0 / 5.0, 2.0 / 7.0}, at::kDouble)).square().mean();
  };
  check_against(distance, "keypoint", Json::object(), keypoint_pair(), kFlow);
  check_against(squared, "keypoint", Json{{"squared", true}}, keypoint_pair(), kFlow);
  const auto sheared = [](const PairState& p) {
    const at::Tensor axes = at::tensor({1.5, 0.4, -0.2, 0.0, 0.5, 0.1, 0.0, 0.0, 2.0}, at::kDouble).view({3, 3});
    return at::matmul(plain_errors(p), axes.t()).square().sum(1).sqrt().mean();
  };
  PairState leaning = keypoint_pair();
  leaning.moving_axes_mm = {1.5, 0.4, -0.2, 0.0, 0.5, 0.1, 0.0, 0.0, 2.0};
  check_against(sheared, "keypoint", Json::object(), leaning, kFlow);
  PairState outside = keypoint_pair();
  outside.fixed_keypoints.mul_(1.5).sub_(1.0);  // some beyond the grid: the flow of the border
  check_against(distance, "keypoint", Json::object(), outside, kFlow);
}

TEST_CASE("keypoint of a padded list has the value and the gradient of the list without padding") {
  const auto result = [](PairState pair, bool squared) {
    pair.flow = pair.flow.clone().set_requires_grad(true);
    const at::Tensor value = make_loss("keypoint", Json{{"squared", squared}})->value(pair);
    value.backward();
    return std::pair{value.item<double>(), pair.flow.grad()};
  };
  PairState plain = keypoint_pair();
  plain.moving_axes_mm = {1.5, 0.4, -0.2, 0.0, 0.5, 0.1, 0.0, 0.0, 2.0};
  PairState padded = plain;
  const at::Tensor wrong = at::full({5, 3}, 1e6, at::dtype(at::kFloat));  // must not be seen
  padded.fixed_keypoints = at::cat({plain.fixed_keypoints, wrong});
  padded.moving_keypoints = at::cat({plain.moving_keypoints, wrong.neg()});
  padded.keypoint_count = at::scalar_tensor(11.0, at::dtype(at::kDouble));
  padded.moving_axes = at::tensor(plain.moving_axes_mm, at::kDouble).view({3, 3});
  padded.moving_axes_mm = {};  // the device's are read
  for (const bool squared : {false, true}) {
    INFO(squared);
    const auto [value, gradient] = result(plain, squared);
    const auto [same_value, same_gradient] = result(padded, squared);
    CHECK(same_value == Approx(value).epsilon(1e-13));
    CHECK(relative_difference(same_gradient, gradient) < 1e-12);
    padded.keypoint_count.fill_(0.0);  // a pair without points
    const auto [nothing, no_gradient] = result(padded, squared);
    CHECK(nothing == 0.0);
    CHECK(no_gradient.abs().max().item<double>() == 0.0);
    padded.keypoint_count.fill_(11.0);
  }
}

TEST_CASE("splat adds many values at one place, in any order the same bits") {
  const at::Tensor points = noise(3, 1, 500, 1).view({3, 500}) * 2.0;
  const at::Tensor values = noise(2, 1, 500, 2).view({2, 500}).sub(0.4).to(at::kFloat);
  const at::Tensor once = splat(values, points, {3, 3, 3});
  CHECK(once.scalar_type() == at::kFloat);
  CHECK(at::equal(once, splat(values.flip(1), points.flip(1), {3, 3, 3})));
  CHECK(once.sum().item<double>() == Approx(values.sum().item<double>()).epsilon(1e-5));
  CHECK(splat(values.mul(0.0), points, {3, 3, 3}).abs().max().item<double>() == 0.0);
}

TEST_CASE("losses over labels and key-points refuse what does not fit in one line") {
  PairState pair = labelled_pair();
  pair.label_count = 1;
  CHECK_THROWS_WITH(value_of("dice", pair, Json{{"background", false}}), "dice: 1 label values, expected at least 2");
  pair.fixed_labels = pair.fixed_labels.narrow(2, 0, 4);
  CHECK_THROWS_WITH(value_of("dice", pair), Catch::StartsWith("dice: labels [2, 1, 4, 7, 6] and [2, 1, 5, 7, 6]"));
  CHECK_THROWS_WITH(make_loss("dice", Json{{"denominator", "max"}}), Catch::Contains("have: squares, sums"));
  pair = keypoint_pair();
  pair.moving_keypoints = pair.moving_keypoints.narrow(0, 0, 5);
  CHECK_THROWS_WITH(value_of("keypoint", pair),
                    "keypoint: fixed points [11, 3], moving points [5, 3], expected both [K, 3]");
  pair = keypoint_pair();
  pair.flow = at::cat({pair.flow, pair.flow});
  CHECK_THROWS_WITH(value_of("keypoint", pair), Catch::Contains("expected one pair, [1, 3, D, H, W]"));
}

TEST_CASE("every loss runs forward and backward on tensors without data") {
  use_meta_kernels();
  const auto on_meta = at::TensorOptions().device(at::kMeta);
  for (const LossRow& row : loss_rows()) {
    INFO(row.name);
    PairState pair;
    const auto leaf = [&](std::int64_t channels) {
      return at::zeros({1, channels, 16, 20, 24}, on_meta).set_requires_grad(true);
    };
    pair.fixed = leaf(1);
    pair.warped = leaf(1);
    pair.flow = leaf(3);
    pair.inverse_flow = leaf(3);
    pair.regularised = leaf(3);
    pair.velocity_mean = leaf(3);
    pair.velocity_log_variance = leaf(3);
    pair.label_count = 3;
    pair.fixed_labels = at::zeros({1, 1, 16, 20, 24}, on_meta.dtype(at::kByte));
    pair.moving_labels = at::zeros({1, 1, 16, 20, 24}, on_meta.dtype(at::kByte));
    pair.fixed_keypoints = at::zeros({7, 3}, on_meta);
    pair.moving_keypoints = at::zeros({7, 3}, on_meta);
    const at::Tensor value = row.make(Json::object())->value(pair);
    CHECK(value.dim() == 0);
    value.backward();
    bool reached = false;
    for (const at::Tensor& input : {pair.warped, pair.flow, pair.regularised, pair.velocity_mean}) {
      reached = reached || input.grad().defined();
    }
    CHECK(reached);
  }
}

}  // namespace regatta::test
