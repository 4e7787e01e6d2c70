// Local correlation: closed form against the reference, finite differences, a naive loop and golden numbers.
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "nn/ops/box_sum.hpp"
#include "nn/ops/local_correlation.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/loss.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

/// A texture with noise, an empty margin and two plateaus: flat windows are where the derivative is ill-conditioned.
at::Tensor image_with_flat_parts(std::int64_t D, std::int64_t H, std::int64_t W, double phase, std::uint64_t seed) {
  at::Tensor image = golden_image(D, H, W, phase).to(at::kDouble).mul(0.6).add(noise(D, H, W, seed), 0.05);
  image.narrow(2, 0, D / 4).zero_();
  image.narrow(3, H / 3, H / 3).narrow(4, W / 4, W / 2).fill_(0.7);
  image.narrow(4, W - 4, 4).fill_(0.2);
  return image.to(at::kFloat).to(at::kDouble);  // exactly representable in both types
}

struct ValueAndGradients {
  double value;
  at::Tensor fixed;
  at::Tensor warped;
};

using Correlation = at::Tensor (*)(const at::Tensor&, const at::Tensor&, const CorrelationOptions&);

ValueAndGradients evaluate(Correlation correlation, const at::Tensor& fixed, const at::Tensor& warped,
                           const CorrelationOptions& options) {
  const at::Tensor i = fixed.clone().set_requires_grad(true);
  const at::Tensor j = warped.clone().set_requires_grad(true);
  const at::Tensor value = correlation(i, j, options);
  value.backward();
  return {value.item<double>(), i.grad(), j.grad()};
}

}  // namespace

TEST_CASE("box sums agree with a naive loop for every window") {
  const at::Tensor volume = noise(4, 5, 6, 3).select(1, 0);  // [1, 4, 5, 6]
  for (std::int64_t window = 1; window <= 11; window += 2) {
    INFO("window " << window);
    const at::Tensor sums = box_sum(pad_for_box(volume, window), window);
    REQUIRE(sums.sizes() == volume.sizes());
    double worst = 0.0;
    for (std::int64_t n = 0; n < volume.numel(); ++n) {
      const std::int64_t d = n / 30;
      const std::int64_t h = n / 6 % 5;
      const std::int64_t w = n % 6;
      const auto part = [&](const at::Tensor& t, std::int64_t axis, std::int64_t centre) {
        const std::int64_t first = std::max<std::int64_t>(0, centre - window / 2);
        const std::int64_t last = std::min(t.size(axis) - 1, centre + window / 2);
        return t.narrow(axis, first, last - first + 1);
      };
      const double expected = part(part(part(volume, 1, d), 2, h), 3, w).sum().item<double>();
      worst = std::max(worst, std::abs(expected - sums[0][d][h][w].item<double>()));
    }
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("ncc gives the golden value of the reference") {
  const at::Tensor moving = golden_image(64, 96, 64, 0.0);
  const at::Tensor fixed = golden_image(64, 96, 64, 1.0);
  PairState pair;
  pair.fixed = fixed;
  pair.warped = moving;
  CHECK(make_loss("ncc", Json::object())->value(pair).item<double>() == Approx(-0.5578020).epsilon(1e-4));
  CHECK(make_loss("ncc", Json{{"window", 9}})->value(pair).scalar_type() == at::kFloat);
}

TEST_CASE("ncc in closed form equals the reference form, value and both gradients, in double precision") {
  const at::Tensor fixed = image_with_flat_parts(13, 17, 15, 0.0, 1);
  const at::Tensor warped = image_with_flat_parts(13, 17, 15, 0.8, 2);
  for (const std::int64_t window : {3, 5, 9, 21}) {
    INFO("window " << window);
    const ValueAndGradients closed = evaluate(local_correlation, fixed, warped, {.window = window});
    const ValueAndGradients dense = evaluate(local_correlation_reference, fixed, warped, {.window = window});
    CHECK(closed.value == Approx(dense.value).epsilon(1e-9));
    CHECK(relative_difference(closed.warped, dense.warped) < 1e-7);
    CHECK(relative_difference(closed.fixed, dense.fixed) < 1e-7);
  }
}

TEST_CASE("ncc in closed form equals the reference form in each form and under a mask") {
  const at::Tensor fixed = image_with_flat_parts(13, 17, 15, 0.0, 1);
  const at::Tensor warped = image_with_flat_parts(13, 17, 15, 0.8, 2);
  const at::Tensor mask = noise(13, 17, 15, 7).gt(0.4).to(at::kByte);
  for (const CorrelationForm form : {CorrelationForm::kSums, CorrelationForm::kMeans, CorrelationForm::kClamped}) {
    for (const at::Tensor& some : {at::Tensor(), mask}) {
      INFO("form " << static_cast<int>(form) << ", masked " << some.defined());
      const CorrelationOptions options = {.window = 5, .form = form, .mask = some};
      const ValueAndGradients closed = evaluate(local_correlation, fixed, warped, options);
      const ValueAndGradients dense = evaluate(local_correlation_reference, fixed, warped, options);
      CHECK(closed.value == Approx(dense.value).epsilon(1e-9));
      CHECK(relative_difference(closed.warped, dense.warped) < 1e-7);
      CHECK(relative_difference(closed.fixed, dense.fixed) < 1e-7);
    }
  }
}

TEST_CASE("ncc's forms differ where a window is nearly flat and agree where it is not") {
  PairState pair;
  pair.fixed = noise(7, 7, 7, 1);
  pair.warped = noise(7, 7, 7, 2);
  const auto value = [&](const char* form) {
    return make_loss("ncc", Json{{"window", 3}, {"form", form}})->value(pair).item<double>();
  };
  CHECK(value("means") == Approx(value("sums")).epsilon(1e-4));
  CHECK(value("clamped") > value("sums"));  // negative correlations do not count
  pair.fixed = pair.fixed * 1e-3;
  pair.warped = pair.warped * 1e-3;
  const double floors = 1e-5 / (27.0 * 27.0 * 1.1920929e-7);  // both divide by nothing else here
  CHECK(value("means") == Approx(floors * value("sums")).epsilon(1e-3));
  CHECK_THROWS_WITH(make_loss("ncc", Json{{"form", "mean"}}), Catch::Contains("have: sums, means, clamped"));
}

TEST_CASE("ncc of float32 volumes is as exact as the float64 reference") {
  const at::Tensor fixed = image_with_flat_parts(24, 30, 28, 0.0, 1);
  const at::Tensor warped = image_with_flat_parts(24, 30, 28, 0.8, 2);
  const ValueAndGradients reference = evaluate(local_correlation_reference, fixed, warped, {.window = 9});
  const ValueAndGradients ours =
      evaluate(local_correlation, fixed.to(at::kFloat), warped.to(at::kFloat), {.window = 9});
  CHECK(ours.value == Approx(reference.value).epsilon(1e-6));
  CHECK(relative_difference(ours.warped, reference.warped) < 1e-6);
  CHECK(ours.warped.scalar_type() == at::kFloat);
}

TEST_CASE("ncc of a volume worked on in slabs does not depend on where they are cut") {
  const at::Tensor fixed = image_with_flat_parts(12, 300, 310, 0.0, 1);
  const at::Tensor warped = image_with_flat_parts(12, 300, 310, 0.8, 2);
  const ValueAndGradients flat = evaluate(local_correlation, fixed, warped, {.window = 5});
  const ValueAndGradients tall =
      evaluate(local_correlation, fixed.transpose(2, 4), warped.transpose(2, 4), {.window = 5});
  CHECK(flat.value == Approx(tall.value).epsilon(1e-10));
  CHECK(relative_difference(flat.warped, tall.warped.transpose(2, 4)) < 1e-8);
  CHECK(relative_difference(flat.fixed, tall.fixed.transpose(2, 4)) < 1e-8);
}

TEST_CASE("ncc has the gradient that finite differences show") {
  const at::Tensor fixed = noise(5, 7, 6, 4);
  const at::Tensor warped = noise(5, 7, 6, 5);
  const ValueAndGradients closed = evaluate(local_correlation, fixed, warped, {.window = 5});
  const at::NoGradGuard no_grad;
  const double step = 1e-6;
  for (std::int64_t i = 0; i < warped.numel(); i += 11) {
    INFO("element " << i);
    const at::Tensor bump = warped.clone();
    bump.view(-1)[i].add_(step);
    const double above = local_correlation(fixed, bump, {.window = 5}).item<double>();
    bump.view(-1)[i].sub_(2 * step);
    const double below = local_correlation(fixed, bump, {.window = 5}).item<double>();
    CHECK(closed.warped.view(-1)[i].item<double>() == Approx((above - below) / (2 * step)).epsilon(1e-5).margin(1e-9));
  }
}

TEST_CASE("ncc averages over a batch and scales its gradient with the loss weight") {
  const at::Tensor fixed = noise(6, 6, 6, 4).to(at::kFloat).repeat({2, 1, 1, 1, 1});
  const at::Tensor warped = noise(6, 6, 6, 5).to(at::kFloat).repeat({2, 1, 1, 1, 1});
  const ValueAndGradients two = evaluate(local_correlation, fixed, warped, {.window = 5});
  const ValueAndGradients one =
      evaluate(local_correlation, fixed.narrow(0, 0, 1), warped.narrow(0, 0, 1), {.window = 5});
  CHECK(two.value == Approx(one.value));
  CHECK(relative_difference(two.warped.narrow(0, 1, 1), one.warped.mul(0.5)) < 1e-6);

  const at::Tensor leaf = warped.clone().set_requires_grad(true);
  local_correlation(fixed, leaf, {.window = 5}).mul(3.0).backward();
  CHECK(relative_difference(leaf.grad(), two.warped.mul(3.0)) < 1e-6);
}

TEST_CASE("ncc of identical volumes is 1 where there is texture and 0 in an empty background") {
  const at::Tensor volume = noise(9, 9, 9, 6);
  CHECK(local_correlation(volume, volume, {.window = 3}).item<double>() == Approx(1.0).epsilon(1e-3));
  const at::Tensor empty = volume.mul(0.0);
  CHECK(local_correlation(empty, volume, {.window = 3}).item<double>() == 0.0);
}

TEST_CASE("ncc refuses wrong options and shapes in one line") {
  CHECK_THROWS_WITH(make_loss("ncc", Json{{"window", 8}}), Catch::Contains("/losses/ncc/options/window: 8 is even"));
  CHECK_THROWS_WITH(make_loss("ncc", Json{{"window", 23}}),
                    Catch::Contains("/losses/ncc/options/window: 23 is outside 3..21"));
  CHECK_THROWS_WITH(make_loss("ncc", Json{{"kind", "dense"}}), Catch::Contains("have: closed-form, reference"));
  PairState pair;
  pair.fixed = golden_image(4, 4, 4, 0.0);
  CHECK_THROWS_AS(make_loss("ncc", Json::object())->value(pair), DataError);
  pair.warped = golden_image(4, 4, 5, 0.0);
  CHECK_THROWS_AS(make_loss("ncc", Json::object())->value(pair), DataError);
  CHECK(make_loss("ncc", Json{{"window", 5}})->options_identity() == Json{{"window", 5}});
  CHECK(make_loss("ncc", Json::object())->options_identity().empty());
}

TEST_CASE("ncc's kind of older recipes reads, keeps the recipe's identity and chooses nothing") {
  PairState pair;
  pair.fixed = golden_image(12, 12, 12, 0.0);
  pair.warped = golden_image(12, 12, 12, 1.0);
  const double value = make_loss("ncc", Json::object())->value(pair).item<double>();
  const double dense = -local_correlation_reference(pair.fixed, pair.warped, {.window = 9}).item<double>();
  REQUIRE(value != dense);  // single precision
  const auto old = make_loss("ncc", Json{{"kind", "reference"}});
  CHECK(old->value(pair).item<double>() == value);
  CHECK(old->options_identity() == Json{{"kind", "reference"}});
  CHECK(make_loss("ncc", Json{{"kind", "closed-form"}})->options_identity().empty());
}

}  // namespace regatta::test
