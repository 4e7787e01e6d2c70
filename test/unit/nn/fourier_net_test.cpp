// Fourier-Net and Fourier-Net+: band-limited resampling against LibTorch's Fourier transforms, counts, names, oracles.
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/fft_fftn.h>
#include <ATen/ops/fft_fftshift.h>
#include <ATen/ops/fft_ifftn.h>
#include <ATen/ops/fft_ifftshift.h>
#include <ATen/ops/real.h>
#include <ATen/ops/tensor.h>

#include "network_checks.hpp"
#include "nn/layers/band_limited.hpp"
#include "reference_unet.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

constexpr std::array<std::int64_t, 3> kAxes = {2, 3, 4};

/// Padded (or cropped, negative) by this number of frequencies at each end of D, H, W, as the reference does it.
at::Tensor by_fourier(const at::Tensor& volume, std::array<std::int64_t, 3> pad) {
  const at::Tensor spectrum = at::fft_fftshift(at::fft_fftn(volume, std::nullopt, kAxes), kAxes);
  const at::Tensor padded = at::constant_pad_nd(spectrum, {pad[2], pad[2], pad[1], pad[1], pad[0], pad[0]});
  return at::real(at::fft_ifftn(at::fft_ifftshift(padded, kAxes), std::nullopt, kAxes));
}

Work work_at(const std::string& name, int channels) {
  return work_of(name, Json{{"channels", channels}}, 160, 192, 224);
}

std::int64_t count_of(const std::string& name, const Json& options) {
  return make_model(name, options)->parameters().count();
}

at::Tensor voxels(const at::Tensor& field) {
  const at::Tensor half = at::tensor({7.5, 15.5, 23.5}).view({1, 3, 1, 1, 1});  // (N - 1) / 2 of 16, 32, 48
  return field * half;
}

}  // namespace

TEST_CASE("band-limited resampling equals the Fourier transforms that it stands for, up and down") {
  const BandLimitedResize resize;
  const at::Tensor volume = noise(4, 6, 10, 1).sub(0.5);
  CHECK(relative_difference(resize(volume, {16, 24, 40}), by_fourier(volume, {6, 9, 15})) < 1e-12);
  const at::Tensor large = noise(16, 12, 8, 2).sub(0.5);
  CHECK(relative_difference(resize(large, {8, 6, 4}), by_fourier(large, {-4, -3, -2})) < 1e-12);
  CHECK(relative_difference(resize(volume, {4, 6, 10}), volume) < 1e-12);
  const at::Tensor single = volume.to(at::kFloat);
  CHECK(relative_difference(resize(single, {16, 24, 40}), resize(volume, {16, 24, 40})) < 1e-6);
}

TEST_CASE("band-limited resampling keeps a slow wave, divided by the ratio of voxels, and refuses odd sizes") {
  const at::Tensor wave = at::tensor({1.0, 0.0, -1.0, 0.0}, at::kDouble).view({1, 1, 4, 1, 1}).expand({1, 1, 4, 2, 2});
  const at::Tensor fine = BandLimitedResize()(wave, {8, 2, 2});
  CHECK(fine[0][0][1][0][0].item<double>() == Approx(std::sqrt(0.5) / 2));
  CHECK(fine[0][0][2][0][0].item<double>() == Approx(0.0).margin(1e-12));
  CHECK_THROWS_AS(BandLimitedResize()(noise(4, 3, 4, 1), {8, 6, 8}), BugError);
}

TEST_CASE("band-limited resampling has the adjoint as its gradient") {
  const BandLimitedResize resize;
  const at::Tensor input = noise(4, 6, 2, 3).set_requires_grad(true);
  const at::Tensor weights = noise(8, 12, 4, 4);
  (resize(input, {8, 12, 4}) * weights).sum().backward();
  const at::Tensor other = noise(4, 6, 2, 5);
  const double expected = (resize(other, {8, 12, 4}) * weights).sum().item<double>();
  CHECK((other * input.grad()).sum().item<double>() == Approx(expected));
}

TEST_CASE("fourier-net has the parameter counts of the reference, used and in its files") {
  CHECK(count_of("fourier-net", Json::object()) == 1050800);
  CHECK(count_of("fourier-net", Json{{"channels", 16}}) == 4198352);
  CHECK(count_of("fourier-net", Json{{"unused", true}}) == 1113766);
  CHECK(count_of("fourier-net", Json{{"channels", 16}, {"unused", true}}) == 4449974);
  CHECK(count_of("fourier-net-plus", Json{{"channels", 8}}) == 220733);
  CHECK(count_of("fourier-net-plus", Json::object()) == 880109);
  CHECK(count_of("fourier-net-plus", Json{{"channels", 32}}) == 3514829);
}

TEST_CASE("fourier-net has the mul-adds of the reference at 160x192x224") {
  CHECK(work_at("fourier-net", 8).total() == Approx(42.67e9).epsilon(2e-4));
  CHECK(work_at("fourier-net", 8).published == Approx(43.82e9).epsilon(2e-4));
  CHECK(work_at("fourier-net", 16).total() == Approx(164.44e9).epsilon(1e-4));
  CHECK(work_at("fourier-net", 16).published == Approx(169.06e9).epsilon(1e-4));
  CHECK(work_at("fourier-net-plus", 16).total() == Approx(18.14e9).epsilon(4e-4));
  CHECK(work_at("fourier-net-plus", 16).published == Approx(19.30e9).epsilon(4e-4));
}

TEST_CASE("fourier-net names its parameters as the reference does, in its order") {
  const auto used = make_model("fourier-net", Json::object());
  const auto& items = used->parameters().items();
  REQUIRE(items.size() == 49);
  CHECK(items[0].name == "eninput.0.weight");
  CHECK(items[30].name == "r_dc1.0.weight");
  CHECK(items[41].name == "r_dc4.1.weight");
  CHECK(items[42].name == "rr_dc9.0.weight");
  CHECK(items[42].value.sizes() == at::IntArrayRef({3, 16, 3, 3, 3}));
  CHECK(items[43].name == "r_up1.0.weight");
  CHECK(items[48].name == "r_up2.1.weight");
  const auto whole = make_model("fourier-net", Json{{"unused", true}});
  REQUIRE(whole->parameters().items().size() == 67);
  CHECK(whole->parameters().items()[53].name == "r_dc8.1.weight");
  CHECK(whole->parameters().items()[66].name == "r_up4.1.weight");
  const auto plus = make_model("fourier-net-plus", Json::object());
  const auto& names = plus->parameters().items();
  REQUIRE(names.size() == 40);
  CHECK(names[0].name == "net1.eninput.0.weight");
  CHECK(names[23].name == "net1.ec7.1.weight");
  CHECK(names[24].name == "net1.dc1.0.weight");
  CHECK(names[33].name == "net1.dc9.0.weight");
  CHECK(names[34].name == "net1.up1.0.weight");
}

TEST_CASE("fourier-net equals a reference re-implementation with Fourier transforms, and integrates on request") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(16, 32, 48, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 48, 1.0);
  const auto model = golden_model("fourier-net", Json{{"channels", 2}});
  const ReferenceUnet plain(*model, "r_");
  const at::Tensor low = plain.head(plain.features(at::cat({moving, fixed}, 1), 2), "rr_dc9");
  CHECK(low.sizes() == at::IntArrayRef({1, 3, 4, 8, 12}));
  const ModelOutput out = model->forward(moving, fixed);
  CHECK(relative_difference(out.flow, voxels(by_fourier(low, {6, 12, 18}))) < 1e-5);
  CHECK(out.warped.equal(warp(moving, out.flow)));
  const ModelOutput smooth = golden_forward("fourier-net", Json{{"channels", 2}, {"diffeomorphic", true}}, 16, 32, 48);
  CHECK(smooth.regularised.equal(out.flow));
  CHECK(smooth.flow.equal(integrate(out.flow, {.warp = {.outside = Outside::kBorder}})));
}

TEST_CASE("fourier-net-plus equals a reference re-implementation with Fourier transforms") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(16, 32, 48, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 48, 1.0);
  const auto model = golden_model("fourier-net-plus", Json{{"channels", 4}});
  const ReferenceUnet plain(*model);
  at::Tensor x = by_fourier(at::cat({moving, fixed}, 1), {-4, -8, -12});
  for (const char* layer : {"eninput", "ec1", "ec2", "ec3", "ec4", "ec5", "ec6", "ec7"}) {
    const bool strided = std::string(layer) == "ec2" || std::string(layer) == "ec4" || std::string(layer) == "ec6";
    x = plain.conv(x, std::string("net1.") + layer, strided ? 2 : 1);
  }
  x = plain.conv(plain.conv(plain.up(x, "net1.up1"), "net1.dc1", 1), "net1.dc2", 1);
  x = plain.head(plain.conv(plain.up(x, "net1.up2"), "net1.dc3", 1), "net1.dc9");
  const ModelOutput out = model->forward(moving, fixed);
  CHECK(relative_difference(out.flow, voxels(by_fourier(x, {6, 12, 18}))) < 1e-5);
}

TEST_CASE("fourier-net agrees in both memory layouts, learns from a step and refuses wrong options") {
  for (const char* name : {"fourier-net", "fourier-net-plus"}) {
    INFO(name);
    CHECK(layout_difference(name, Json{{"channels", 2}}) < 1e-3);
    for (const bool diffeomorphic : {false, true}) {
      const auto [before, after] = one_step(name, Json{{"channels", 2}, {"diffeomorphic", diffeomorphic}});
      CHECK(after < before);
      CHECK(make_model(name, Json{{"diffeomorphic", diffeomorphic}})->numerical_on_cuda() == diffeomorphic);
    }
    CHECK_THROWS_WITH(make_model(name, Json{{"channels", 0}}),
                      Catch::Contains("/model/options/channels: 0 is outside"));
    CHECK_THROWS_AS(make_model(name, Json{{"start_channel", 8}}), ConfigError);
    const at::Tensor odd = golden_image(16, 24, 16, 0.0);
    CHECK_THROWS_WITH(make_model(name, Json::object())->forward(odd, odd), Catch::Contains("a multiple of 16"));
  }
}

}  // namespace regatta::test
