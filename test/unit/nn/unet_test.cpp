// The backbone U-Net of the LKU-Net paper and SYMNet, which share a skeleton: counts, names, golden numbers, oracles.
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include "network_checks.hpp"
#include "reference_unet.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

const Json kNarrow{{"channels", 2}};

std::int64_t count_of(const std::string& name, int channels) {
  return make_model(name, Json{{"channels", channels}})->parameters().count();
}

Work work_at(const std::string& name, int channels) {
  return work_of(name, Json{{"channels", channels}}, 160, 192, 224);
}

/// SYMNet's fields are W, H, D in units of 100 voxels.
at::Tensor in_symnet_units(const at::Tensor& field) {
  return field.flip({1}) / 100.0;
}

/// Mean length along the components, away from the borders.
double inner_mean(const at::Tensor& field) {
  return field.slice(2, 4, -4).slice(3, 4, -4).slice(4, 4, -4).abs().mean().item<double>();
}

}  // namespace

TEST_CASE("unet and symnet have the parameter counts of the reference") {
  for (const int c : {4, 8}) {
    CHECK(count_of("unet", c) == 17363 * c * c + 314 * c + 22);
    CHECK(count_of("symnet", c) == 17363 * c * c + 1652 * c);
  }
  CHECK(count_of("unet", 4) == 279086);
  CHECK(count_of("unet", 8) == 1113766);
  CHECK(count_of("symnet", 7) == 862351);
  CHECK(make_model("symnet", Json::object())->parameters().count() == 1124448);
}

TEST_CASE("unet and symnet have the mul-adds of the reference at 160x192x224") {
  CHECK(work_at("unet", 4).published == Approx(58.73e9).epsilon(1e-4));
  CHECK(work_at("symnet", 7).total() == Approx(225.0e9).epsilon(3e-4));
  CHECK(work_at("symnet", 8).total() == Approx(281.7e9).epsilon(3e-4));
}

TEST_CASE("unet and symnet name their parameters as the reference does, in its order") {
  const auto unet = make_model("unet", Json::object());
  const auto& items = unet->parameters().items();
  REQUIRE(items.size() == 67);
  CHECK(items[0].name == "eninput.0.weight");
  CHECK(items[1].name == "eninput.0.bias");
  CHECK(items[2].name == "eninput.1.weight");
  CHECK(items[29].name == "ec9.1.weight");
  CHECK(items[30].name == "dc1.0.weight");
  CHECK(items[30].value.sizes() == at::IntArrayRef({64, 128, 3, 3, 3}));
  CHECK(items[54].name == "dc9.0.weight");
  CHECK(items[55].name == "up1.0.weight");
  CHECK(items[66].name == "up4.1.weight");
  const auto symnet = make_model("symnet", Json::object());
  const auto& names = symnet->parameters().items();
  REQUIRE(names.size() == 46);
  CHECK(names[18].name == "ec9.0.weight");
  CHECK(names[36].name == "dc9.0.weight");
  CHECK(names[36].value.sizes() == at::IntArrayRef({3, 16, 5, 5, 5}));
  CHECK(names[37].name == "dc10.0.weight");
  CHECK(names[38].name == "up1.0.weight");
  CHECK(names[38].value.sizes() == at::IntArrayRef({64, 64, 2, 2, 2}));
}

TEST_CASE("unet equals a reference re-implementation and integrates on request") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(16, 32, 48, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 48, 1.0);
  const auto model = golden_model("unet", kNarrow);
  const ReferenceUnet plain(*model);
  const at::Tensor raw = plain.head(plain.features(at::cat({moving, fixed}, 1), 4), "dc9");
  const at::Tensor half = at::tensor({7.5, 15.5, 23.5}).view({1, 3, 1, 1, 1});  // (N - 1) / 2
  const at::Tensor expected = raw / raw.abs().add(1.0) * half;
  const ModelOutput out = model->forward(moving, fixed);
  CHECK(relative_difference(out.flow, expected) < 1e-5);
  CHECK(out.regularised.equal(out.flow));
  CHECK(out.warped.equal(warp(moving, out.flow)));
  const ModelOutput smooth =
      golden_forward("unet", Json{{"channels", 2}, {"diffeomorphic", true}, {"int_steps", 3}}, 16, 32, 48);
  CHECK(smooth.regularised.equal(out.flow));
  CHECK(smooth.flow.equal(integrate(out.flow, {.steps = 3, .warp = {.outside = Outside::kBorder}})));
}

TEST_CASE("golden rows SYMNet c=8 F_xy and composed F_XY") {
  constexpr double kVoxel = 1e-5;  // a thousandth of a voxel: single values near 0 round at the scale of the field
  const ModelOutput out = golden_forward("symnet", Json{{"channels", 8}}, 64, 96, 64);
  const at::Tensor velocity = in_symnet_units(out.regularised);
  CHECK(velocity.sum(at::kDouble).item<double>() == Approx(-6.627171e4).epsilon(1e-4));
  CHECK(velocity.abs().mean(at::kDouble).item<double>() == Approx(0.3777714).epsilon(1e-4));
  CHECK(golden_voxel(velocity, 0) == Approx(0.025220).epsilon(1e-4).margin(kVoxel));
  CHECK(golden_voxel(velocity, 1) == Approx(-0.253679).epsilon(1e-4).margin(kVoxel));
  CHECK(golden_voxel(velocity, 2) == Approx(-0.232757).epsilon(1e-4).margin(kVoxel));
  const at::Tensor flow = in_symnet_units(out.flow);
  CHECK(flow.sum(at::kDouble).item<double>() == Approx(-6.146025e3).epsilon(1e-4));
  CHECK(flow.abs().mean(at::kDouble).item<double>() == Approx(0.05816873).epsilon(1e-4));
  CHECK(golden_voxel(flow, 0) == Approx(-0.034102).epsilon(1e-4).margin(kVoxel));
  CHECK(golden_voxel(flow, 1) == Approx(0.009810).epsilon(1e-4).margin(kVoxel));
  CHECK(golden_voxel(flow, 2) == Approx(0.036858).epsilon(1e-4).margin(kVoxel));
  CHECK(out.warped.mean(at::kDouble).item<double>() == Approx(0.353620).epsilon(1e-4));
  CHECK(golden_voxel(out.warped, 0) == Approx(0.886619).epsilon(1e-4));
}

TEST_CASE("symnet's two maps undo each other, and both volumes meet in the middle") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(32, 32, 48, 0.0);
  const at::Tensor fixed = golden_image(32, 32, 48, 1.0);
  const auto model = make_model("symnet", kNarrow);
  model->parameters().initialise(1);
  const ModelOutput out = model->forward(moving, fixed);
  CHECK(inner_mean(out.flow) > 0.1);
  CHECK(inner_mean(compose(out.flow, out.inverse_flow)) < 0.05 * inner_mean(out.flow));
  CHECK(inner_mean(compose(out.inverse_flow, out.flow)) < 0.05 * inner_mean(out.flow));
  CHECK(out.halfway_moving.equal(warp(moving, out.halfway_flow)));
  CHECK(out.halfway_fixed.equal(warp(fixed, out.halfway_inverse_flow)));
  CHECK(out.halfway_flow.equal(integrate(out.regularised)));
  CHECK(out.inverse_warped.equal(warp(fixed, out.inverse_flow)));
  for (const char* head : {"dc9.0.weight", "dc10.0.weight"}) {
    parameter_of(*model, head).zero_();
  }
  CHECK(model->forward(moving, fixed).flow.abs().max().item<double>() == 0.0);
}

TEST_CASE("symnet with six squarings stops at half the time of its velocity") {
  const ModelOutput out = golden_forward("symnet", Json{{"channels", 2}, {"int_steps", 6}}, 16, 16, 32);
  CHECK(relative_difference(out.halfway_flow, integrate(out.regularised * 0.5, {.steps = 6})) < 1e-6);
}

TEST_CASE("unet and symnet agree in both memory layouts, learn from a step and refuse wrong options") {
  for (const char* name : {"unet", "symnet"}) {
    INFO(name);
    CHECK(layout_difference(name, kNarrow) < 1e-3);
    const auto [before, after] = one_step(name, kNarrow);
    CHECK(after < before);
    CHECK_THROWS_WITH(make_model(name, Json{{"channels", 0}}),
                      Catch::Contains("/model/options/channels: 0 is outside"));
    CHECK_THROWS_AS(make_model(name, Json{{"start_channel", 8}}), ConfigError);
    const at::Tensor odd = golden_image(16, 24, 16, 0.0);
    CHECK_THROWS_WITH(make_model(name, Json::object())->forward(odd, odd), Catch::Contains("a multiple of 16"));
  }
  CHECK_THROWS_AS(make_model("symnet", Json{{"int_steps", 8}}), ConfigError);
  CHECK(make_model("symnet", Json::object())->numerical_on_cuda());
  CHECK_FALSE(make_model("unet", Json::object())->numerical_on_cuda());
  CHECK(make_model("unet", Json{{"diffeomorphic", true}})->numerical_on_cuda());
}

}  // namespace regatta::test
