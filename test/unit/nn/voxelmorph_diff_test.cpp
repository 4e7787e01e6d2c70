// VoxelMorph-diff against a reference re-implementation, its head's draw and both ways of integrating.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv3d.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/upsample_trilinear3d.h>
#include <ATen/ops/zeros.h>

#include "network_checks.hpp"
#include "nn/layers/sampling.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

const char* const kName = "voxelmorph-diff";

at::Tensor doubled(const at::Tensor& volume) {
  return at::upsample_trilinear3d(volume, {volume.size(2) * 2, volume.size(3) * 2, volume.size(4) * 2}, false);
}

/// Mean velocity as models.md 3.3 describes it, by LibTorch's own operators.
at::Tensor plain_mean(const Model& model, const at::Tensor& images) {
  const auto conv = [&](const at::Tensor& x, const std::string& name, std::int64_t stride) {
    const at::Tensor out = at::conv3d(x, parameter_of(model, name + ".weight"), parameter_of(model, name + ".bias"),
                                      stride, at::IntArrayRef{1, 1, 1});
    return name.starts_with("flow") ? out : at::leaky_relu(out, 0.2);
  };
  const at::Tensor full = conv(images, "encoders.0.conv", 1);
  const at::Tensor half = conv(full, "encoders.1.conv", 2);
  const at::Tensor quarter = conv(half, "encoders.2.conv", 2);
  const at::Tensor eighth = conv(quarter, "encoders.3.conv", 2);
  at::Tensor x = conv(conv(eighth, "encoders.4.conv", 2), "decoders.0.conv", 1);
  x = conv(at::cat({doubled(x), eighth}, 1), "decoders.1.conv", 1);
  x = conv(at::cat({doubled(x), quarter}, 1), "decoders.2.conv", 1);
  x = conv(at::cat({doubled(x), half}, 1), "decoders.3.conv", 1);
  return conv(conv(x, "decoders.4.conv", 1), "flow_mean", 1);
}

/// v, then v + v(p + v), this number of times.
at::Tensor squared(at::Tensor field, int times) {
  for (int i = 0; i < times; ++i) {
    field = field + warp(field, field);
  }
  return field;
}

}  // namespace

TEST_CASE("voxelmorph-diff has the parameters of the reference, under its names") {
  const auto model = make_model(kName, Json::object());
  CHECK(model->parameters().count() == 307878);
  const auto& items = model->parameters().items();
  REQUIRE(items.size() == 24);
  CHECK(items[0].name == "encoders.0.conv.weight");
  CHECK(items[9].name == "encoders.4.conv.bias");
  CHECK(items[12].name == "decoders.1.conv.weight");
  CHECK(items[12].value.sizes() == at::IntArrayRef({32, 64, 3, 3, 3}));
  CHECK(items[20].name == "flow_mean.weight");
  CHECK(items[21].name == "flow_mean.bias");
  CHECK(items[22].name == "flow_sigma.weight");
  model->parameters().initialise(1);
  CHECK(items[23].value.equal(at::zeros({3}).fill_(-10.0)));
}

TEST_CASE("voxelmorph-diff has the mul-adds of its layers at 160x192x224") {
  const double voxels = 160.0 * 192.0 * 224.0;
  const double full = 27.0 * 2 * 16;
  const double half = 27.0 * (16 * 32 + 64 * 32 + 32 * 16 + 2 * 16 * 3);
  const double quarter = 27.0 * (32 * 32 + 64 * 32);
  const double eighth = 27.0 * (32 * 32 + 64 * 32);
  const double sixteenth = 27.0 * (32 * 32 + 32 * 32);
  const double expected = voxels * (full + half / 8 + quarter / 64 + eighth / 512 + sixteenth / 4096);
  CHECK(work_of(kName, Json::object(), 160, 192, 224).total() == Approx(expected));
}

TEST_CASE("voxelmorph-diff equals a reference re-implementation, and the reference's way of integrating is an option") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(16, 32, 48, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 48, 1.0);
  const auto model = golden_model(kName, Json::object());
  const ModelOutput out = model->forward(moving, fixed);
  const at::Tensor mean = plain_mean(*model, at::cat({moving, fixed}, 1));
  CHECK(relative_difference(out.velocity_mean, mean) < 1e-5);
  CHECK(out.velocity_log_variance.sizes() == mean.sizes());
  CHECK(out.regularised.equal(out.velocity_mean));
  CHECK(relative_difference(out.flow, doubled(squared(mean / 128.0, 7)) * 2.0) < 1e-3);
  CHECK(out.warped.equal(warp(moving, out.flow)));

  const auto reference = golden_model(kName, Json{{"reference", true}});
  for (const char* part : {"flow_mean.weight", "flow_mean.bias"}) {
    parameter_of(*reference, part).mul_(1.0 / 128.0);  // the reference's network learns it so
  }
  const ModelOutput as_reference = reference->forward(moving, fixed);
  CHECK(relative_difference(as_reference.velocity_mean * 128.0, mean) < 1e-5);
  CHECK(relative_difference(as_reference.flow * 2.0, out.flow) < 1e-3);
  CHECK(relative_difference(as_reference.regularised, squared(mean / 128.0, 7)) < 1e-3);
}

TEST_CASE("voxelmorph-diff draws its velocity in training, from seed and step alone") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(16, 16, 32, 0.0);
  const at::Tensor fixed = golden_image(16, 16, 32, 1.0);
  const auto model = make_model(kName, Json::object());
  model->parameters().initialise(1);
  const at::Tensor mean = model->forward(moving, fixed).regularised;
  model->set_training({.seed = 1, .step = 1});
  const ModelOutput drawn = model->forward(moving, fixed);
  CHECK(drawn.velocity_mean.equal(mean));
  const at::Tensor noise = (drawn.regularised - mean) / (drawn.velocity_log_variance * 0.5).exp();
  CHECK(noise.mean().item<double>() == Approx(0.0).margin(0.1));
  CHECK(noise.std().item<double>() == Approx(1.0).epsilon(0.1));
  CHECK(model->forward(moving, fixed).regularised.equal(drawn.regularised));
  model->set_training({.seed = 1, .step = 2});
  CHECK_FALSE(model->forward(moving, fixed).regularised.equal(drawn.regularised));
  model->set_evaluation();
  CHECK(model->forward(moving, fixed).regularised.equal(mean));
}

TEST_CASE("normal numbers depend on seed, step and stream, and move no shared generator") {
  const at::Tensor like = at::zeros({2, 3, 4, 5, 6}, at::kDouble);
  const at::Tensor first = normal_like(like, {.seed = 1, .step = 1}, 0);
  CHECK(first.scalar_type() == at::kDouble);
  CHECK(first.sizes() == like.sizes());
  CHECK(at::zeros({100}).normal_().numel() == 100);  // the shared generator continues
  CHECK(normal_like(like, {.seed = 1, .step = 1}, 0).equal(first));
  CHECK_FALSE(normal_like(like, {.seed = 1, .step = 1}, 1).equal(first));
  CHECK_FALSE(normal_like(like, {.seed = 1, .step = 2}, 0).equal(first));
  CHECK_FALSE(normal_like(like, {.seed = 2, .step = 1}, 0).equal(first));
  const at::Tensor last = at::zeros({2, 3, 4, 5, 6}, at::kDouble).to(at::MemoryFormat::ChannelsLast3d);
  CHECK(normal_like(last, {.seed = 1, .step = 1}, 0).equal(first));
}

TEST_CASE("voxelmorph-diff agrees in both memory layouts, learns from a step and refuses wrong options") {
  CHECK(layout_difference(kName, Json::object()) < 1e-3);
  const auto [before, after] = one_step(kName, Json::object());
  CHECK(after < before);
  CHECK(make_model(kName, Json::object())->numerical_on_cuda());
  CHECK_THROWS_WITH(make_model(kName, Json{{"int_steps", 7}}),
                    Catch::Contains("/model/options/int_steps: unknown key, have: reference"));
  const at::Tensor odd = golden_image(16, 24, 16, 0.0);
  CHECK_THROWS_WITH(make_model(kName, Json::object())->forward(odd, odd), Catch::Contains("a multiple of 16"));
}

}  // namespace regatta::test
