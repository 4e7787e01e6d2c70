// Losses that compare the fixed and the warped volume: golden numbers of the references, reference definitions, masks.
#include <array>
#include <cmath>
#include <vector>

#include <ATen/ops/amin.h>
#include <ATen/ops/avg_pool3d.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/replication_pad3d.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "loss_checks.hpp"
#include "regatta/base/error.hpp"

namespace regatta::test {
namespace {

PairState golden_pair() {
  PairState pair;
  pair.fixed = golden_image(64, 96, 64, 1.0);
  pair.warped = golden_image(64, 96, 64, 0.0);
  return pair;
}

PairState noise_pair(std::int64_t D, std::int64_t H, std::int64_t W, std::int64_t batch = 1) {
  PairState pair;
  std::vector<at::Tensor> fixed;
  std::vector<at::Tensor> warped;
  for (std::int64_t n = 0; n < batch; ++n) {
    const auto seed = static_cast<std::uint64_t>(2 * n);
    fixed.push_back(noise(D, H, W, seed + 1));
    warped.push_back(noise(D, H, W, seed + 2) * 0.7 + fixed.back() * 0.4 - 0.05);  // some beyond 0 and 1
  }
  pair.fixed = at::cat(fixed);
  pair.warped = at::cat(warped);
  return pair;
}

void check_both_images(at::Tensor (*plain)(const PairState&), const std::string& loss, const PairState& pair,
                       double tolerance = 1e-9) {
  check_against(plain, loss, Json::object(), pair, &PairState::warped, tolerance);
  check_against(plain, loss, Json::object(), pair, &PairState::fixed, tolerance);
}

/// Normalised weights of 32 bins. @param x  [n]  @return [n, 32]
at::Tensor plain_memberships(const at::Tensor& x) {
  const at::Tensor centres = at::linspace(0.0, 1.0, 32, x.options());
  const at::Tensor weights = ((x.clamp(0.0, 1.0).unsqueeze(1) - centres).square() * (-0.5 * 31.0 * 31.0)).exp();
  return weights / weights.sum(1, true);
}

at::Tensor plain_information(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor first = plain_memberships(a);
  const at::Tensor second = plain_memberships(b);
  const at::Tensor joint = first.t().mm(second) / static_cast<double>(a.numel());
  const at::Tensor independent = first.mean(0).unsqueeze(1) * second.mean(0).unsqueeze(0);
  return (joint * (joint / (independent + 1e-6) + 1e-6).log()).sum();
}

at::Tensor plain_mi(const PairState& pair) {
  at::Tensor sum = at::zeros({}, pair.fixed.options());
  for (std::int64_t n = 0; n < pair.fixed.size(0); ++n) {
    sum = sum - plain_information(pair.fixed[n].flatten(), pair.warped[n].flatten());
  }
  return sum / static_cast<double>(pair.fixed.size(0));
}

/// Sizes 6, 9, 10: padded by 4, 1 and 0 to cubes of 5, that is 2, 0, 0 in front.
at::Tensor plain_lmi(const PairState& pair) {
  const std::vector<std::int64_t> padding = {0, 0, 0, 1, 2, 2};
  at::Tensor sum = at::zeros({}, pair.fixed.options());
  for (std::int64_t n = 0; n < pair.fixed.size(0); ++n) {
    const at::Tensor fixed = at::constant_pad_nd(pair.fixed[n][0], padding);
    const at::Tensor warped = at::constant_pad_nd(pair.warped[n][0], padding);
    for (std::int64_t cube = 0; cube < 8; ++cube) {
      const auto cut = [&](const at::Tensor& volume) {
        return volume.narrow(0, cube / 4 * 5, 5).narrow(1, cube / 2 % 2 * 5, 5).narrow(2, cube % 2 * 5, 5).flatten();
      };
      sum = sum - plain_information(cut(fixed), cut(warped));
    }
  }
  return sum / static_cast<double>(8 * pair.fixed.size(0));
}

at::Tensor plain_descriptor(const at::Tensor& volume) {
  const std::vector<std::array<std::int64_t, 3>> six = {{0, 2, 2}, {2, 2, 0}, {2, 0, 2},
                                                        {2, 2, 4}, {4, 2, 2}, {2, 4, 2}};
  const at::Tensor padded = at::replication_pad3d(volume, {2, 2, 2, 2, 2, 2});
  const auto seen_from = [&](const std::array<std::int64_t, 3>& at_offset) {
    at::Tensor out = padded;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      out = out.narrow(2 + axis, at_offset[static_cast<std::size_t>(axis)], volume.size(2 + axis));
    }
    return out;
  };
  std::vector<at::Tensor> channels;
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::int64_t squared = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        squared += (six[i][axis] - six[j][axis]) / 2 * ((six[i][axis] - six[j][axis]) / 2);
      }
      if (squared == 2) {
        const at::Tensor difference = (seen_from(six[i]) - seen_from(six[j])).square();
        channels.push_back(at::avg_pool3d(at::replication_pad3d(difference, {2, 2, 2, 2, 2, 2}), {5}, {1}));
      }
    }
  }
  REQUIRE(channels.size() == 12);
  const at::Tensor distance = at::cat(channels, 1);
  const at::Tensor m = distance - at::amin(distance, {1}, true);
  const at::Tensor v = m.mean(1, true);
  const at::Tensor average = v.mean().detach();
  return (-m / at::clamp(v, average * 0.001, average * 1000.0)).exp();
}

at::Tensor plain_mind(const PairState& pair) {
  return (plain_descriptor(pair.warped) - plain_descriptor(pair.fixed)).square().mean();
}

at::Tensor plain_ssim(const PairState& pair) {
  const at::Tensor line = (at::linspace(-5.0, 5.0, 11, pair.fixed.options()).square() / -4.5).exp();
  const at::Tensor weights = line / line.sum();
  const at::Tensor kernel = at::einsum("i,j,k->ijk", {weights, weights, weights}).view({1, 1, 11, 11, 11});
  const auto smoothed = [&](const at::Tensor& volume) { return at::conv3d(volume, kernel, {}, 1, 5); };
  const at::Tensor f = smoothed(pair.fixed);
  const at::Tensor w = smoothed(pair.warped);
  const at::Tensor ff = smoothed(pair.fixed * pair.fixed) - f * f;
  const at::Tensor ww = smoothed(pair.warped * pair.warped) - w * w;
  const at::Tensor fw = smoothed(pair.fixed * pair.warped) - f * w;
  return 1.0 - ((f * w * 2.0 + 1e-4) * (fw * 2.0 + 9e-4) / ((f * f + w * w + 1e-4) * (ff + ww + 9e-4))).mean();
}

}  // namespace

TEST_CASE("mi, lmi, mind and ssim give the golden values of the references") {
  CHECK(value_of("mi", golden_pair()) == Approx(-0.9865887).epsilon(1e-4));
  CHECK(value_of("lmi", golden_pair()) == Approx(-0.5149897).epsilon(1e-4));
  CHECK(value_of("mind", golden_pair()) == Approx(0.01210711).epsilon(1e-4));
  CHECK(value_of("ssim", golden_pair()) == Approx(0.7296867).epsilon(1e-4));
}

TEST_CASE("mi equals its reference, value and gradients, in one chunk and in several") {
  check_both_images(plain_mi, "mi", noise_pair(5, 7, 6, 2));
  check_against(plain_mi, "mi", Json::object(), noise_pair(48, 57, 49), &PairState::warped);
}

TEST_CASE("lmi equals its reference, value and gradients") {
  check_both_images(plain_lmi, "lmi", noise_pair(6, 9, 10, 2));
}

TEST_CASE("mi with very narrow windows is finite") {
  const double value = value_of("mi", noise_pair(5, 6, 7), Json{{"sigma_ratio", 0.01}});
  CHECK(std::isfinite(value));
  CHECK(value < 0.0);
}

TEST_CASE("mind equals its reference, value and gradients") {
  check_both_images(plain_mind, "mind", noise_pair(6, 9, 7));
  check_both_images(plain_mind, "mind", noise_pair(2, 3, 5));  // smaller than its windows
}

TEST_CASE("mind of a batch is the mean of its pairs, and 0 with a zero gradient in volumes without texture") {
  const PairState two = noise_pair(5, 6, 7, 2);
  double mean = 0.0;
  for (std::int64_t n = 0; n < 2; ++n) {
    PairState one = two;
    one.fixed = two.fixed.narrow(0, n, 1);
    one.warped = two.warped.narrow(0, n, 1);
    mean += 0.5 * value_of("mind", one);
  }
  CHECK(value_of("mind", two) == Approx(mean).epsilon(1e-12));
  PairState flat;
  flat.fixed = at::zeros({1, 1, 5, 5, 5}, at::dtype(at::kFloat));
  flat.warped = at::zeros({1, 1, 5, 5, 5}, at::dtype(at::kFloat)).fill_(0.5).set_requires_grad(true);
  const at::Tensor value = make_loss("mind", Json::object())->value(flat);
  value.backward();
  CHECK(value.item<double>() == 0.0);
  CHECK(flat.warped.grad().abs().max().item<double>() == 0.0);
}

TEST_CASE("ssim equals its reference, value and gradients, also in volumes smaller than its window") {
  check_both_images(plain_ssim, "ssim", noise_pair(13, 12, 15));
  check_both_images(plain_ssim, "ssim", noise_pair(3, 5, 4));
}

TEST_CASE("closed forms in float32 are as exact as float64 needs them") {
  for (const char* loss : {"mind", "ssim", "mi"}) {
    INFO(loss);
    const PairState wide = noise_pair(9, 10, 11);
    PairState narrow = wide;
    narrow.fixed = wide.fixed.to(at::kFloat);
    narrow.warped = wide.warped.to(at::kFloat).set_requires_grad(true);
    PairState reference = wide;
    reference.warped = wide.warped.clone().set_requires_grad(true);
    const at::Tensor value = make_loss(loss, Json::object())->value(narrow);
    value.backward();
    make_loss(loss, Json::object())->value(reference).backward();
    CHECK(value.scalar_type() == at::kFloat);
    CHECK(relative_difference(narrow.warped.grad().to(at::kDouble), reference.warped.grad()) < 1e-4);
  }
}

TEST_CASE("mae is the mean absolute difference, and its gradient the sign") {
  PairState pair;
  pair.fixed = at::zeros({1, 1, 2, 2, 2}, at::dtype(at::kDouble));
  pair.warped = pair.fixed + 0.25;
  pair.warped.select(4, 1).fill_(-0.75);
  CHECK(value_of("mae", pair) == Approx(0.5));
  check_against([](const PairState& p) { return (p.warped - p.fixed).abs().mean(); }, "mae", Json::object(),
                noise_pair(3, 5, 4), &PairState::warped);
}

TEST_CASE("masked image losses are means over the mask only, and over everything without one") {
  PairState pair = noise_pair(7, 6, 9);
  const Json masked = {{"masked", true}};
  for (const char* loss : {"mae", "mse", "ncc"}) {
    INFO(loss);
    CHECK(value_of(loss, pair, masked) == Approx(value_of(loss, pair)).epsilon(1e-12));
  }
  pair.fixed_mask = noise(7, 6, 9, 9).gt(0.6).to(at::kByte);
  const auto mean = [](const at::Tensor& values, const PairState& p) {
    return (values * p.fixed_mask).sum() / p.fixed_mask.sum();
  };
  check_against([&](const PairState& p) { return mean((p.warped - p.fixed).abs(), p); }, "mae", masked, pair,
                &PairState::warped);
  check_against([&](const PairState& p) { return mean((p.warped - p.fixed).square(), p); }, "mse", masked, pair,
                &PairState::warped);
  pair.fixed_mask.zero_();
  CHECK(value_of("mse", pair, masked) == 0.0);
  CHECK(value_of("ncc", pair, masked) == 0.0);
}

TEST_CASE("image losses refuse wrong options, shapes and masks in one line") {
  PairState pair = noise_pair(5, 5, 5);
  pair.fixed_mask = at::zeros({1, 1, 5, 5, 4}, at::dtype(at::kByte));
  CHECK_THROWS_WITH(value_of("mae", pair, Json{{"masked", true}}),
                    "mae: fixed mask [1, 1, 5, 5, 4], expected the shape of the fixed volume, [1, 1, 5, 5, 5]");
  pair.warped.reset();
  for (const char* loss : {"lmi", "mae", "mi", "mind", "ssim"}) {
    INFO(loss);
    CHECK_THROWS_WITH(value_of(loss, pair),
                      Catch::StartsWith(std::string(loss) + ": fixed [1, 1, 5, 5, 5], warped absent"));
  }
  CHECK_THROWS_WITH(make_loss("mi", Json{{"bins", 1}}),
                    Catch::Contains("/losses/mi/options/bins: 1 is outside 2..256"));
  CHECK_THROWS_WITH(make_loss("lmi", Json{{"patch", 1}}),
                    Catch::Contains("/losses/lmi/options/patch: 1 is outside 2..64"));
  CHECK_THROWS_WITH(make_loss("mind", Json{{"radius", 0}}),
                    Catch::Contains("/losses/mind/options/radius: 0 is outside"));
}

TEST_CASE("options added to a loss leave its identity as it was") {
  for (const char* loss : {"mse", "ncc", "grad"}) {
    CHECK(make_loss(loss, Json::object())->options_identity().empty());
  }
  CHECK(make_loss("ncc", Json{{"masked", true}})->options_identity() == Json{{"masked", true}});
}

}  // namespace regatta::test
