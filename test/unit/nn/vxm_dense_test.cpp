// VoxelMorph as its repository had it, against the reference's parameter counts, mul-adds and golden outputs.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "network_checks.hpp"
#include "nn/layers/resize.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

const Json kHalfResolution{{"half_resolution", true}};
const Json kSmall{{"encoder", {4, 6}}, {"decoder", {6, 5, 4}}};

Json small_and(const char* key, const Json& value) {
  Json options = kSmall;
  options[key] = value;
  return options;
}

}  // namespace

TEST_CASE("VxmDense has the parameters of the reference, under its names") {
  const auto model = make_model("voxelmorph", Json::object());
  CHECK(model->parameters().count() == 327331);
  CHECK(make_model("voxelmorph", kHalfResolution)->parameters().count() == 313507);
  CHECK(make_model("voxelmorph", Json{{"int_steps", 0}})->parameters().count() == 327331);
  const auto& items = model->parameters().items();
  REQUIRE(items.size() == 24);
  CHECK(items[0].name == "unet_model.encoder.0.0.main.weight");
  CHECK(items[1].name == "unet_model.encoder.0.0.main.bias");
  CHECK(items[7].name == "unet_model.encoder.3.0.main.bias");
  CHECK(items[8].name == "unet_model.decoder.0.0.main.weight");
  CHECK(items[10].value.sizes() == at::IntArrayRef({32, 64, 3, 3, 3}));
  CHECK(items[16].name == "unet_model.remaining.0.main.weight");
  CHECK(items[16].value.sizes() == at::IntArrayRef({32, 48, 3, 3, 3}));
  CHECK(items[20].name == "unet_model.remaining.2.main.weight");
  CHECK(items[22].name == "flow.weight");
  CHECK(items[23].name == "flow.bias");
}

TEST_CASE("VxmDense has the mul-adds of the reference at 160x192x224") {
  CHECK(work_of("voxelmorph", Json::object(), 160, 192, 224).total() == Approx(512.47e9).epsilon(2e-5));
  CHECK(work_of("voxelmorph", kHalfResolution, 160, 192, 224).total() == Approx(118.21e9).epsilon(5e-5));
}

TEST_CASE("golden row VXM VxmDense int7 down2 (pos_flow)") {
  // In float64: float32 moves single voxels by 24, and the sum, of both signs, by 2.4e-3.
  const at::NoGradGuard no_grad;
  const auto model = make_model("voxelmorph", Json::object());
  set_golden_weights(model->parameters());
  for (const Parameter& parameter : model->parameters().items()) {
    at::Tensor value = parameter.value;
    value.set_data(value.to(at::kDouble));
  }
  const ModelOutput out =
      model->forward(golden_image(64, 96, 64, 0.0).to(at::kDouble), golden_image(64, 96, 64, 1.0).to(at::kDouble));
  CHECK(out.flow.sum(at::kDouble).item<double>() == Approx(-4.145e5).epsilon(1e-3));
  CHECK(out.flow.abs().mean(at::kDouble).item<double>() == Approx(6.470314).epsilon(2e-3));
  CHECK(golden_voxel(out.flow, 0) == Approx(2.981302).epsilon(2e-3));
  CHECK(golden_voxel(out.flow, 1) == Approx(-1.222218).epsilon(2e-3));
  CHECK(golden_voxel(out.flow, 2) == Approx(-4.657674).epsilon(2e-3));
  CHECK(out.warped.mean(at::kDouble).item<double>() == Approx(0.344867).epsilon(2e-3));
  CHECK(golden_voxel(out.warped, 0) == Approx(0.714486).epsilon(2e-3));
  CHECK(out.regularised.sizes() == at::IntArrayRef({1, 3, 32, 48, 32}));
}

TEST_CASE("VxmDense integrates on the grid that it is told, or not at all") {
  const ModelOutput plain = golden_forward("voxelmorph", small_and("int_steps", 0), 16, 24, 20);
  CHECK(plain.flow.is_same(plain.regularised));
  const ModelOutput full = golden_forward("voxelmorph", small_and("int_downsize", 1), 16, 24, 20);
  CHECK(full.regularised.equal(plain.flow));
  CHECK(full.flow.equal(integrate(plain.flow)));
  const ModelOutput half = golden_forward("voxelmorph", kSmall, 16, 24, 20);
  CHECK(half.regularised.equal(resize(plain.flow, {8, 12, 10}, {.align_corners = true}) * 0.5));
  CHECK(half.flow.equal(resize(integrate(half.regularised) * 2.0, {16, 24, 20}, {.align_corners = true})));
  const ModelOutput coarse =
      golden_forward("voxelmorph", small_and("half_resolution", {.align_corners = true}), 16, 24, 20);
  CHECK(coarse.regularised.sizes() == at::IntArrayRef({1, 3, 8, 12, 10}));
  CHECK(coarse.flow.equal(resize(integrate(coarse.regularised) * 2.0, {16, 24, 20}, {.align_corners = true})));
}

TEST_CASE("voxelmorph in both directions warps the fixed volume by the integral of the negated velocity") {
  const ModelOutput one = golden_forward("voxelmorph", kSmall, 16, 24, 20);
  CHECK_FALSE(one.inverse_flow.defined());
  const ModelOutput both =
      golden_forward("voxelmorph", small_and("bidirectional", {.align_corners = true}), 16, 24, 20);
  CHECK(both.flow.equal(one.flow));
  CHECK(
      both.inverse_flow.equal(resize(integrate(both.regularised.neg()) * 2.0, {16, 24, 20}, {.align_corners = true})));
  CHECK(both.inverse_warped.equal(warp(golden_image(16, 24, 20, 1.0), both.inverse_flow)));
  Json plain = small_and("bidirectional", true);
  plain["int_steps"] = 0;
  const ModelOutput negated = golden_forward("voxelmorph", plain, 16, 24, 20);
  CHECK(negated.inverse_flow.equal(negated.flow.neg()));
}

TEST_CASE("VxmDense agrees in both memory layouts and learns from a step") {
  CHECK(layout_difference("voxelmorph", small_and("int_steps", 0)) < 1e-4);
  CHECK(layout_difference("voxelmorph", kSmall) < 1e-3);
  const auto [before, after] = one_step("voxelmorph", small_and("bidirectional", true));
  CHECK(after < before);
  CHECK(make_model("voxelmorph", Json::object())->numerical_on_cuda());
  CHECK_FALSE(make_model("voxelmorph", Json{{"int_steps", 0}})->numerical_on_cuda());
}

TEST_CASE("VxmDense refuses wrong options and sizes in one line") {
  const auto make = [](const Json& options) { return make_model("voxelmorph", options); };
  CHECK_THROWS_WITH(make(Json{{"encoder", Json::array()}}), "/model/options/encoder: 0 values, expected 1..8");
  CHECK_THROWS_WITH(make(Json{{"decoder", {1, 1}}}),
                    "/model/options/decoder: 2 values, expected at least 4, one for each of the encoder");
  CHECK_THROWS_WITH(make(Json{{"half_resolution", true}, {"int_steps", 0}}),
                    "/model/options/half_resolution: true needs int_downsize 2 and int_steps above 0, got 2 and 0");
  CHECK_THROWS_AS(make(Json{{"int_downsize", 3}}), ConfigError);
  CHECK_THROWS_AS(make(Json{{"steps", 3}}), ConfigError);
  const auto model = make(Json{{"encoder", {4, 4}}, {"decoder", {4, 4}}});
  const at::Tensor odd = golden_image(16, 18, 16, 0.0);
  CHECK_THROWS_WITH(model->forward(odd, odd), Catch::Contains("[1, 1, 16, 18, 16], each size must be a multiple of 4"));
}

}  // namespace regatta::test
