// Regularisers: golden numbers of the references, cases worked out by hand, reference definitions.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "loss_checks.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"

namespace regatta::test {
namespace {

constexpr at::Tensor PairState::*kRegularised = &PairState::regularised;

PairState regularising(const at::Tensor& field) {
  PairState pair;
  pair.regularised = field;
  return pair;
}

PairState flowing(const at::Tensor& flow, const at::Tensor& inverse = {}) {
  PairState pair;
  pair.flow = flow;
  pair.inverse_flow = inverse;
  return pair;
}

at::Tensor empty_field(std::int64_t D, std::int64_t H, std::int64_t W) {
  return at::zeros({1, 3, D, H, W}, at::dtype(at::kDouble));
}

/// u_D = slope d, nothing else.
at::Tensor ramp(std::int64_t D, std::int64_t H, std::int64_t W, double slope) {
  const at::Tensor field = empty_field(D, H, W);
  field.select(1, 0).add_(at::arange(D, field.options()).view({D, 1, 1}), slope);
  return field;
}

at::Tensor forward(const at::Tensor& x, std::int64_t axis) {
  return x.narrow(axis, 1, x.size(axis) - 1) - x.narrow(axis, 0, x.size(axis) - 1);
}

/// All axes but the last voxel, or all but the first.
at::Tensor trimmed(at::Tensor x, std::int64_t axis_kept, std::int64_t first) {
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    if (axis != axis_kept) {
      x = x.narrow(axis, first, x.size(axis) - 1);
    }
  }
  return x;
}

at::Tensor plain_lku(const PairState& pair) {
  const at::Tensor& u = pair.regularised;
  std::vector<at::Tensor> parts;
  for (std::int64_t c = 0; c < 3; ++c) {
    parts.push_back(u.narrow(1, c, 1) * (2.0 / static_cast<double>(u.size(2 + c) - 1)));
  }
  const at::Tensor normalised = at::cat(parts, 1);
  at::Tensor sum = at::zeros({}, u.options());
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    sum = sum + (forward(normalised, axis) * (static_cast<double>(u.size(axis)) / 2.0)).square().mean();
  }
  return sum / 3.0;
}

at::Tensor central(const at::Tensor& x, std::int64_t along) {
  at::Tensor high = x;
  at::Tensor low = x;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const std::int64_t size = x.size(axis) - 2;
    high = high.narrow(axis, axis == along ? 2 : 1, size);
    low = low.narrow(axis, axis == along ? 0 : 1, size);
  }
  return (high - low) / 2.0;
}

at::Tensor plain_bending(const PairState& pair) {
  at::Tensor sum;
  for (std::int64_t a = 2; a < 5; ++a) {
    for (std::int64_t b = 2; b < 5; ++b) {
      const at::Tensor term = central(central(pair.regularised, a), b).square();
      sum = sum.defined() ? sum + term : term;
    }
  }
  return sum.mean();
}

at::Tensor plain_anisotropic(const PairState& pair) {
  at::Tensor sum;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    const at::Tensor term = trimmed(forward(pair.regularised, axis), axis, 1).square();
    sum = sum.defined() ? sum + term : term;
  }
  return (sum + 1e-6).sqrt().mean() / 3.0;
}

at::Tensor plain_jacobian(const PairState& pair) {
  std::array<std::array<at::Tensor, 3>, 3> j;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto along = static_cast<std::int64_t>(axis) + 2;
      j[c][axis] = trimmed(forward(pair.flow.narrow(1, static_cast<std::int64_t>(c), 1), along), along, 0);
      if (c == axis) {
        j[c][axis] = j[c][axis] + 1.0;
      }
    }
  }
  const at::Tensor determinant = j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1]) -
                                 j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0]) +
                                 j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]);
  return (-determinant).clamp_min(0.0).mean();
}

at::Tensor plain_round_trip(const PairState& pair) {
  return (warp(pair.inverse_flow, pair.flow, {.outside = Outside::kBorder}) + pair.flow).square().mean();
}

PairState distribution(std::int64_t D, std::int64_t H, std::int64_t W) {
  PairState pair;
  pair.velocity_mean = noise_field(D, H, W, 4.0, 1);
  pair.velocity_log_variance = noise_field(D, H, W, 2.0, 4);
  pair.regularised = noise_field(D, H, W, 4.0, 7);
  return pair;
}

/// Both forms, voxel by voxel.
double plain_kl(const PairState& pair, bool reference) {
  const at::Tensor u = reference ? pair.regularised : pair.velocity_mean;
  const std::array<std::int64_t, 3> sizes = {u.size(2), u.size(3), u.size(4)};
  const auto at_point = [](const at::Tensor& x, std::int64_t c, const std::array<std::int64_t, 3>& p) {
    return x[0][c][p[0]][p[1]][p[2]].item<double>();
  };
  double spread = 0.0;
  double precision = 0.0;
  const auto voxels = static_cast<double>(sizes[0] * sizes[1] * sizes[2]);
  for (std::int64_t n = 0; n < sizes[0] * sizes[1] * sizes[2]; ++n) {
    const std::array<std::int64_t, 3> p = {n / (sizes[1] * sizes[2]), n / sizes[2] % sizes[1], n % sizes[2]};
    for (std::int64_t c = 0; c < 3; ++c) {
      double degree = 0.0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        degree += (p[axis] > 0 ? 1.0 : 0.0) + (p[axis] + 1 < sizes[axis] ? 1.0 : 0.0);
        std::array<std::int64_t, 3> next = p;
        std::array<std::int64_t, 3> previous = p;
        next[axis] = std::min(p[axis] + 1, sizes[axis] - 1);
        previous[axis] = std::max<std::int64_t>(p[axis] - 1, 0);
        if (reference && static_cast<std::int64_t>(axis) == c) {
          const double slope =
              (at_point(u, c, next) - at_point(u, c, previous)) / static_cast<double>(next[axis] - previous[axis]);
          precision += 0.5 * slope * slope / voxels;
        }
        if (!reference && next != p) {
          const double count = 3.0 * voxels * static_cast<double>(sizes[axis] - 1) / static_cast<double>(sizes[axis]);
          const double step = at_point(u, c, next) - at_point(u, c, p);
          precision += 0.5 / 3.0 * step * step / count;
        }
      }
      const double log_variance = at_point(pair.velocity_log_variance, c, p);
      spread += (7.0 * degree * std::exp(log_variance) - log_variance) / (3.0 * voxels);
    }
  }
  return 1.5 * (spread + 4.0 * precision);
}

}  // namespace

TEST_CASE("bending and grad in LKU-Net's units give the golden values of the references") {
  const at::Tensor field = golden_field(64, 96, 64);
  CHECK(value_of("bending", regularising(field)) == Approx(7.062961e-4).epsilon(1e-4));
  const at::Tensor voxels = field.clone();  // the golden field is taken as normalised
  for (std::int64_t c = 0; c < 3; ++c) {
    voxels.select(1, c).mul_(static_cast<double>(voxels.size(2 + c) - 1) / 2.0);
  }
  CHECK(value_of("grad", regularising(voxels), Json{{"units", "lku"}}) == Approx(9.445550).epsilon(1e-4));
}

TEST_CASE("regularisers equal their references, value and gradient") {
  const at::Tensor field = noise_field(6, 9, 7, 3.0, 1);
  check_against(plain_lku, "grad", Json{{"units", "lku"}}, regularising(field), kRegularised);
  check_against(plain_bending, "bending", Json::object(), regularising(field), kRegularised);
  check_against(plain_bending, "bending", Json::object(), regularising(noise_field(5, 5, 5, 3.0, 2)), kRegularised);
  check_against(plain_anisotropic, "anisotropic", Json::object(), regularising(field), kRegularised);
  check_against(plain_jacobian, "jacobian", Json::object(), flowing(field), &PairState::flow);
  const at::Tensor pair_of_fields = at::cat({field, noise_field(6, 9, 7, 3.0, 5)});
  check_against(plain_jacobian, "jacobian", Json::object(), flowing(pair_of_fields), &PairState::flow);
}

TEST_CASE("regularisers of a ramp are what is worked out by hand") {
  const at::Tensor field = ramp(6, 5, 7, 2.0);
  CHECK(value_of("bending", regularising(field)) == Approx(0.0).margin(1e-12));
  CHECK(value_of("anisotropic", regularising(field)) == Approx((2.0 + 2.0 * 1e-3) / 9.0).epsilon(1e-5));
  CHECK(value_of("grad", regularising(field), Json{{"units", "lku"}}) == Approx(4.0 * 36.0 / 25.0 / 9.0));
  CHECK(value_of("jacobian", flowing(field)) == 0.0);                // det 3
  CHECK(value_of("jacobian", flowing(ramp(6, 5, 7, -3.0))) == 2.0);  // det -2
}

TEST_CASE("kl is what is worked out by hand for a ramp with variance 1") {
  PairState pair;
  pair.velocity_mean = ramp(2, 2, 2, 1.0);
  pair.velocity_log_variance = at::zeros_like(pair.velocity_mean);
  pair.regularised = pair.velocity_mean;
  const double spread = 10.0 * 3.0;  // each voxel of the smallest grid has three neighbours
  CHECK(value_of("kl", pair) == Approx(1.5 * (spread + 10.0 * 0.5 / 9.0)));
  CHECK(value_of("kl", pair, Json{{"reference", true}}) == Approx(1.5 * (spread + 10.0 * 0.5)));
}

TEST_CASE("kl equals a loop over voxels in both forms, and its gradient finite differences") {
  const PairState pair = distribution(3, 5, 4);
  for (const bool reference : {false, true}) {
    INFO("reference " << reference);
    const Json options = {{"lambda", 7.0}, {"lambda_mean", 4.0}, {"reference", reference}};
    CHECK(value_of("kl", pair, options) == Approx(plain_kl(pair, reference)).epsilon(1e-12));
    for (at::Tensor PairState::*input :
         {&PairState::velocity_log_variance, reference ? &PairState::regularised : &PairState::velocity_mean}) {
      PairState leaf = pair;
      leaf.*input = (pair.*input).clone().set_requires_grad(true);
      make_loss("kl", options)->value(leaf).backward();
      for (const std::int64_t i : {0, 31, 77, 179}) {
        PairState bump = pair;
        bump.*input = (pair.*input).clone();
        (bump.*input).view(-1)[i].add_(1e-5);
        const double above = value_of("kl", bump, options);
        (bump.*input).view(-1)[i].sub_(2e-5);
        const double slope = (above - value_of("kl", bump, options)) / 2e-5;
        CHECK((leaf.*input).grad().view(-1)[i].item<double>() == Approx(slope).epsilon(1e-6).margin(1e-9));
      }
    }
  }
}

TEST_CASE("magnitude is the difference of the mean absolute components") {
  const at::Tensor three = empty_field(3, 4, 5).fill_(-3.0);
  CHECK(value_of("magnitude", flowing(three, empty_field(3, 4, 5).fill_(1.0))) == Approx(2.0));
  const auto plain = [](const PairState& p) { return (p.flow.abs().mean() - p.inverse_flow.abs().mean()).abs(); };
  const PairState pair = flowing(noise_field(3, 4, 5, 2.0, 1), noise_field(3, 4, 5, 1.0, 4));
  check_against(plain, "magnitude", Json::object(), pair, &PairState::flow);
  check_against(plain, "magnitude", Json::object(), pair, &PairState::inverse_flow);
}

TEST_CASE("inverse consistency is 0 for opposite shifts and the squared way for equal ones") {
  const at::Tensor shift = empty_field(5, 4, 6);
  shift.select(1, 0).fill_(0.75);
  CHECK(value_of("inverse_consistency", flowing(shift, -shift)) == Approx(0.0).margin(1e-12));
  CHECK(value_of("inverse_consistency", flowing(shift, shift)) == Approx(2.25 / 3.0));
}

TEST_CASE("inverse consistency equals its reference, with gradients to both fields") {
  PairState pair = flowing(noise_field(5, 7, 6, 3.0, 1), noise_field(5, 7, 6, 3.0, 4));
  check_against(plain_round_trip, "inverse_consistency", Json::object(), pair, &PairState::flow);
  check_against(plain_round_trip, "inverse_consistency", Json::object(), pair, &PairState::inverse_flow);
  pair = flowing(at::cat({pair.flow, pair.inverse_flow}), at::cat({pair.inverse_flow, pair.flow}));
  check_against(plain_round_trip, "inverse_consistency", Json::object(), pair, &PairState::inverse_flow);
}

TEST_CASE("regularisers refuse fields that are too small, and networks that give no such field, in one line") {
  CHECK_THROWS_WITH(value_of("bending", regularising(empty_field(5, 4, 5))),
                    "bending: field [1, 3, 5, 4, 5], expected [N, 3, D, H, W], each size at least 5");
  for (const char* loss : {"anisotropic", "inverse_consistency", "jacobian", "magnitude"}) {
    INFO(loss);
    CHECK_THROWS_WITH(value_of(loss, PairState{}), Catch::StartsWith(std::string(loss) + ": field absent"));
  }
  for (const char* loss : {"inverse_consistency", "magnitude"}) {
    INFO(loss);
    CHECK_THROWS_AS(value_of(loss, flowing(empty_field(3, 3, 3))), ConfigError);
    CHECK_THROWS_WITH(value_of(loss, flowing(empty_field(3, 3, 3), empty_field(3, 3, 4))),
                      Catch::Contains("inverse field [1, 3, 3, 3, 4], expected the same shape"));
  }
  CHECK_THROWS_WITH(value_of("kl", flowing(empty_field(3, 3, 3))),
                    Catch::Contains("/losses/kl: this network predicts no distribution of velocities"));
  PairState pair = distribution(3, 3, 3);
  pair.regularised = empty_field(6, 6, 6);
  CHECK_THROWS_WITH(
      value_of("kl", pair, Json{{"reference", true}}),
      "kl: with `reference`, the integrated field is [1, 3, 6, 6, 6], expected it on the grid of the mean, "
      "[1, 3, 3, 3, 3]");
  CHECK_THROWS_WITH(make_loss("grad", Json{{"units", "mm"}}), Catch::Contains("have: voxels, lku"));
}

}  // namespace regatta::test
