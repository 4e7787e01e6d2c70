// VFA against the reference's parameter counts, golden output and mul-adds; its attention against the plain form.
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/replication_pad3d.h>
#include <ATen/ops/zeros.h>

#include "nn/layers/neighbourhood.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

at::Tensor features(std::int64_t channels, std::int64_t D, std::int64_t H, std::int64_t W, std::uint64_t seed) {
  std::vector<at::Tensor> volumes;
  for (std::int64_t c = 0; c < channels; ++c) {
    volumes.push_back(noise(D, H, W, seed + static_cast<std::uint64_t>(c)).sub(0.5).mul(4.0));
  }
  return at::cat(volumes, 1);  // [1, channels, D, H, W] float64
}

Json tiny_options() {
  return {{"start_channels", 2}, {"matching_channels", 2}, {"max_channels", 4}};
}

double at_voxel(const at::Tensor& volume, std::int64_t channel) {
  return volume[0][channel][21][32][21].item<double>();
}

/// Gradients of a scalar made of both outputs, in the smallest volume.
std::vector<at::Tensor> small_gradients(bool channels_last) {
  const auto model = make_model("vfa", tiny_options(), {.channels_last = channels_last});
  set_golden_weights(model->parameters());
  const ModelOutput out = model->forward(golden_image(32, 32, 48, 0.0), golden_image(32, 32, 48, 1.0));
  out.warped.square().mean().add(out.flow.square().mean(), 0.01).backward();
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : model->parameters().items()) {
    gradients.push_back(parameter.value.grad());
  }
  return gradients;
}

}  // namespace

TEST_CASE("neighbourhood attention of one channel is the softmax mean of offsets, worked out by hand") {
  const at::Tensor query = features(1, 1, 1, 1, 0).fill_(2.0);
  at::Tensor key = features(1, 3, 3, 3, 0).zero_();
  key[0][0][2][1][0].fill_(std::log(5.0) / 2.0);  // weight 5 of 31 at offset (1, 0, -1), 1 of 31 elsewhere
  const at::Tensor mean = neighbourhood_attention(query, key).flatten();
  CHECK(mean[0].item<double>() == Approx(4.0 / 31.0));
  CHECK(mean[1].item<double>() == Approx(0.0).margin(1e-12));
  CHECK(mean[2].item<double>() == Approx(-4.0 / 31.0));
}

TEST_CASE("neighbourhood attention equals the plain form and its gradients, with odd sizes and in slabs") {
  for (const std::int64_t most_values : {1, 2 * 27 * 5 * 7, 1 << 20}) {  // slabs of one plane, two, all five
    INFO("at once " << most_values);
    std::vector<at::Tensor> outs;
    std::vector<at::Tensor> gradients;
    for (const bool plain : {false, true}) {
      const at::Tensor query = features(3, 5, 5, 7, 1).set_requires_grad(true);
      const at::Tensor key = features(3, 7, 7, 9, 9).set_requires_grad(true);
      const at::Tensor out =
          plain ? neighbourhood_attention_plain(query, key) : neighbourhood_attention(query, key, most_values);
      (out * out.detach().cos().add(0.3)).sum().backward();
      outs.push_back(out);
      gradients.push_back(query.grad());
      gradients.push_back(key.grad());
    }
    CHECK(relative_difference(outs[0], outs[1]) < 1e-12);
    CHECK(relative_difference(gradients[0], gradients[2]) < 1e-12);
    CHECK(relative_difference(gradients[1], gradients[3]) < 1e-12);
  }
}

TEST_CASE("neighbourhood attention agrees with finite differences in float64") {
  const at::Tensor query = features(2, 2, 3, 2, 1).set_requires_grad(true);
  const at::Tensor key = features(2, 4, 5, 4, 9).set_requires_grad(true);
  const at::Tensor weight = features(3, 2, 3, 2, 30);
  const auto value = [&] { return (neighbourhood_attention(query, key) * weight).sum(); };
  value().backward();
  const at::NoGradGuard no_grad;
  const double step = 1e-5;
  for (const at::Tensor& input : {query, key}) {
    const at::Tensor flat = input.view({-1});
    const at::Tensor gradient = input.grad().view({-1});
    for (std::int64_t i = 0; i < flat.numel(); i += 5) {
      flat[i].add_(step);
      const double above = value().item<double>();
      flat[i].sub_(2.0 * step);
      const double below = value().item<double>();
      flat[i].add_(step);
      CHECK(gradient[i].item<double>() == Approx((above - below) / (2.0 * step)).margin(1e-8));
    }
  }
}

TEST_CASE("replicate padding equals LibTorch's, and its gradient") {
  const at::Tensor ours = features(2, 3, 4, 2, 5).set_requires_grad(true);
  const at::Tensor plain = features(2, 3, 4, 2, 5).set_requires_grad(true);
  const at::Tensor out = pad_replicate(ours);
  const at::Tensor expected = at::replication_pad3d(plain, at::IntArrayRef({1, 1, 1, 1, 1, 1}));
  CHECK(out.equal(expected));
  (out * out.detach()).sum().backward();
  (expected * expected.detach()).sum().backward();
  CHECK(relative_difference(ours.grad(), plain.grad()) < 1e-14);
}

TEST_CASE("a match is brought back where it leaves the volume, and then has no derivative") {
  at::Tensor field = features(3, 2, 3, 4, 1).fill_(0.25);
  field[0][0][0][1][1] = -0.5;  // below the first plane
  field[0][2][1][2][3] = 0.75;  // beyond the last column
  field.set_requires_grad(true);
  const at::Tensor inside = brought_inside(field);
  CHECK(inside[0][0][0][1][1].item<double>() == 0.0);
  CHECK(inside[0][2][1][2][3].item<double>() == 0.0);
  CHECK(inside[0][1][0][0][0].item<double>() == 0.25);
  CHECK(inside[0][0][1][0][0].item<double>() == 0.0);  // the last plane
  inside.sum().backward();
  CHECK(field.grad()[0][0][0][1][1].item<double>() == 0.0);
  CHECK(field.grad()[0][0][1][0][0].item<double>() == 0.0);
  CHECK(field.grad()[0][1][0][0][0].item<double>() == 1.0);
}

TEST_CASE("warped and padded features are those of the parts, and without a displacement the padding alone") {
  const at::Tensor volume = features(2, 3, 4, 2, 5);
  CHECK(warp_padded(volume, at::Tensor()).equal(pad_replicate(volume)));
  const at::Tensor flow = features(3, 3, 4, 2, 7);
  CHECK(warp_padded(volume, flow).equal(pad_replicate(warp(volume, flow, {.outside = Outside::kBorder}))));
}

TEST_CASE("vfa has the parameter count, names and mul-adds of the reference") {
  const auto model = make_model("vfa", Json::object());
  CHECK(model->parameters().count() == 2014827);
  const auto& items = model->parameters().items();
  REQUIRE(items.size() == 103);
  CHECK(items[0].name == "encoder.encoder_conv.0.conv1.weight");
  CHECK(items[32].name == "encoder.decoder_conv.0.conv1.weight");
  CHECK(items[64].name == "encoder.upsampling.0.conv.weight");
  CHECK(items[80].name == "encoder.in_norm.weight");
  CHECK(items[82].name == "encoder.in_conv.weight");
  CHECK(items[84].name == "encoder.bottleneck_conv.conv1.weight");
  CHECK(items[92].name == "decoder.beta");
  CHECK(items[93].name == "decoder.project.0.weight");
  std::int64_t encoder = 0;
  for (const Parameter& parameter : model->parameters().items()) {
    encoder += parameter.name.starts_with("encoder.") ? parameter.value.numel() : 0;
  }
  CHECK(encoder == 1720882);
  CHECK(model->options_identity().empty());
  CHECK(model->numerical_on_cuda());
  const NetworkContext fast = {.backend = Backend::kFast, .channels_last = true, .without_data = true};
  CHECK_FALSE(make_model("vfa", Json::object(), fast)->numerical_on_cuda());
  CHECK(make_model("vfa", tiny_options(), fast)->numerical_on_cuda());
  const Work work = work_of("vfa", Json::object(), 160, 192, 224);
  CHECK(work.convolution == Approx(1169.3e9).epsilon(1e-4));
  CHECK(work.attention < 0.01 * work.convolution);
}

TEST_CASE("vfa gives the golden field and warped volume") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("vfa", Json::object());
  set_golden_weights(model->parameters());
  const ModelOutput out = model->forward(golden_image(64, 96, 64, 0.0), golden_image(64, 96, 64, 1.0));
  CHECK(out.flow.sum(at::kDouble).item<double>() == Approx(-4.350170e4).epsilon(1e-4));
  CHECK(out.flow.abs().mean(at::kDouble).item<double>() == Approx(0.7160626).epsilon(1e-4));
  CHECK(at_voxel(out.flow, 0) == Approx(0.631521).epsilon(1e-4));
  CHECK(at_voxel(out.flow, 1) == Approx(-0.007191).margin(1e-4));
  CHECK(at_voxel(out.flow, 2) == Approx(-0.701836).epsilon(1e-4));
  CHECK(out.warped.mean(at::kDouble).item<double>() == Approx(0.485699).epsilon(1e-4));
  CHECK(at_voxel(out.warped, 0) == Approx(0.930640).epsilon(1e-4));
  CHECK(out.regularised.is_same(out.flow));
}

TEST_CASE("vfa in channels-last layout has the same gradients and keeps its parameters' layout") {
  const auto plain = small_gradients(false);
  const auto last = small_gradients(true);
  double total = 0.0;
  for (const at::Tensor& gradient : plain) {
    total = std::max(total, gradient.abs().max().item<double>());
  }
  for (std::size_t i = 0; i < plain.size(); ++i) {
    INFO("parameter " << i);
    // A bias before an instance norm has a gradient of rounding errors only.
    CHECK((last[i] - plain[i]).norm().item<double>() < 2e-3 * plain[i].norm().item<double>() + 1e-5 * total);
    CHECK(last[i].is_contiguous());
  }
}

TEST_CASE("vfa learns: five steps along the gradient lower the difference of a pair") {
  const auto model = make_model("vfa", tiny_options());
  model->parameters().initialise(3);
  const at::Tensor moving = golden_image(32, 32, 32, 0.0);
  const at::Tensor fixed = golden_image(32, 32, 32, 0.4);
  std::vector<double> losses;
  for (int step = 0; step < 5; ++step) {
    const at::Tensor loss = (model->forward(moving, fixed).warped - fixed).square().mean();
    losses.push_back(loss.item<double>());
    loss.backward();
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : model->parameters().items()) {
      REQUIRE(parameter.value.grad().defined());
      parameter.value.sub_(parameter.value.grad().sign(), 2e-3);
      parameter.value.mutable_grad().reset();
    }
  }
  CHECK(losses.back() < losses.front());
}

TEST_CASE("vfa integrates and skips levels on request") {
  const at::NoGradGuard no_grad;
  Json options = tiny_options();
  options["skip"] = 4;  // the coarsest level alone: 2x2x2 voxels, whose corners are the volume's
  const auto field = [&options] {
    const auto model = make_model("vfa", options);
    set_golden_weights(model->parameters());
    return model->forward(golden_image(32, 32, 32, 0.0), golden_image(32, 32, 32, 1.0)).flow;
  };
  const auto corners = [](at::Tensor flow) {  // [1, 3, 2, 2, 2] in coarse voxels
    for (std::int64_t axis = 2; axis < 5; ++axis) {
      flow = flow.slice(axis, 0, std::nullopt, 31);
    }
    return flow / 31.0;
  };
  const at::Tensor plain = field();
  // Straight between the coarse voxels.
  const at::Tensor bend = plain.narrow(4, 2, 30) - 2.0 * plain.narrow(4, 1, 30) + plain.narrow(4, 0, 30);
  CHECK(bend.abs().max().item<double>() < 1e-4);
  CHECK(plain.abs().max().item<double>() > 0.01);

  options["int_steps"] = 5;
  at::Tensor place = at::zeros({1, 3, 2, 2, 2}, at::TensorOptions().dtype(at::kFloat));
  place.select(1, 0).select(1, 1).fill_(1.0);
  place.select(1, 1).select(2, 1).fill_(1.0);
  place.select(1, 2).select(3, 1).fill_(1.0);
  at::Tensor local = corners(plain) / 32.0;
  for (int step = 0; step < 5; ++step) {
    local = warp(place + local, local, {.outside = Outside::kBorder}) - place;
  }
  CHECK((corners(field()) - local).abs().max().item<double>() < 1e-4 * local.abs().max().item<double>() + 1e-6);
}

TEST_CASE("vfa refuses wrong options and sizes in one line") {
  CHECK_THROWS_WITH(make_model("vfa", Json{{"skip", 5}}), Catch::Contains("/model/options/skip: 5 is outside"));
  CHECK_THROWS_AS(make_model("vfa", Json{{"downsamples", 3}}), ConfigError);
  const auto model = make_model("vfa", tiny_options());
  const at::Tensor odd = golden_image(32, 40, 32, 0.0);
  CHECK_THROWS_WITH(model->forward(odd, odd),
                    Catch::Contains("[1, 1, 32, 40, 32], each size must be a multiple of 16"));
  const at::Tensor small = golden_image(32, 16, 32, 0.0);
  CHECK_THROWS_WITH(model->forward(small, small),
                    Catch::Contains("vfa: volume [1, 1, 32, 16, 32], each size must be at least 32"));
}

}  // namespace regatta::test
