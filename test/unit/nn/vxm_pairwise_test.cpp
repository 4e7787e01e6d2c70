// VoxelMorph of the package voxelmorph 0.3.4 against that package: its numbers and gradients with golden weights, in
// float64. test/interop/check_pairwise.py asks the package itself where it is installed.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "network_checks.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"

namespace regatta::test {
namespace {

const char* const kName = "voxelmorph-pairwise";
const Json kSmall{{"features", {4, 6}}};

Json small_and(const char* key, const Json& value) {
  Json options = kSmall;
  options[key] = value;
  return options;
}

/// What the package gives of a golden pair.
struct Golden {
  double sum;          ///< of the displacement's components
  double mean_length;  ///< of the components' absolute values
  double voxel[3];     ///< golden_voxel of each component
  double warped_mean;
  double warped_voxel;
};

struct GoldenCase {
  Json options;
  std::int64_t D, H, W;
  std::int64_t parameters;
  Golden there;
  Golden back;           ///< of the negated velocity; sum 0: not integrated
  double loss;           ///< mean squared difference of warped and fixed
  double gradient_norm;  ///< of all parameters, for that loss
  std::vector<std::pair<std::string, double>> gradient_norms;
};

std::vector<GoldenCase> golden_cases() {
  return {{Json::object(),
           64,
           96,
           64,
           105017,
           {3.068996e4, 0.4254161, {0.020771, 0.075783, 0.091411}, 0.4686337, 0.9535335},
           {-4.754181e4, 0.4493595, {-0.020971, -0.076054, -0.091747}, 0.4911626, 0.9324313},
           0.12317028,
           0.364114419,
           {{"model.downsampling_conv_blocks.0.conv_block.conv0.weight", 1.26711563e-2},
            {"model.lowest_resolution_conv_block.conv0.weight", 3.65812454e-3},
            {"model.upsampling_conv_blocks.2.conv_block.conv0.bias", 1.69759288e-5},
            {"model.out_layer.conv0.weight", 0.100754352},
            {"flow_layer.conv0.weight", 0.186974409},
            {"flow_layer.conv0.bias", 3.40267580e-2}}},
          {{{"int_steps", 0}},
           64,
           96,
           64,
           105017,
           {7.294182e4, 1.9056092, {0.020635, 0.075656, 0.091296}, 0.4516323, 0.9535266},
           {},
           0.13321576,
           0.610108978,
           {{"model.downsampling_conv_blocks.0.conv_block.conv0.weight", 3.85589237e-2},
            {"flow_layer.conv0.weight", 0.199622472}}},
          {{{"features", {4, 0, 6}}, {"int_steps", 3}},
           32,
           48,
           40,
           4713,
           {1.364026e4, 0.1000887, {-0.150963, -0.10874, -0.101685}, 0.4972692, 0.9409920},
           {-1.370310e4, 0.1034957, {0.141811, 0.099718, 0.092997}, 0.4953503, 0.9184090},
           0.10965137,
           5.62504259e-2,
           {{"model.upsampling_conv_blocks.2.conv_block.conv0.bias", 2.40537413e-4},
            {"model.out_layer.conv0.weight", 8.83222595e-4}}},
          {{{"features", {0, 6, 4}}, {"up_features", {5, 3, 0}}, {"int_steps", 7}},
           32,
           48,
           40,
           2541,
           {1.085485e4, 0.1274016, {-0.093528, -0.043316, -0.029767}, 0.4975365, 0.9460798},
           {-1.086604e4, 0.1278599, {0.096312, 0.046349, 0.032979}, 0.4925337, 0.9232325},
           0.11059392,
           0.103174881,
           {{"model.lowest_resolution_conv_block.conv0.weight", 1.01736268e-3},
            {"model.out_layer.conv0.weight", 5.01899183e-3}}},
          {{{"features", {4, 6}}, {"up_features", {0, 5}}, {"int_steps", 2}},
           32,
           48,
           40,
           4961,
           {1.295637e4, 0.1726546, {0.031026, 0.085375, 0.10012}, 0.4969889, 0.9540518},
           {-1.286883e4, 0.1728591, {-0.030425, -0.084801, -0.099586}, 0.4938975, 0.9330076},
           0.11074951,
           8.21296233e-2,
           {{"model.downsampling_conv_blocks.0.conv_block.conv0.weight", 1.87691236e-3},
            {"flow_layer.conv0.bias", 4.09186643e-2}}}};
}

void check_golden(const Golden& golden, const at::Tensor& flow, const at::Tensor& warped) {
  CHECK(flow.sum().item<double>() == Approx(golden.sum).epsilon(1e-6));
  CHECK(flow.abs().mean().item<double>() == Approx(golden.mean_length).epsilon(1e-6));
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    CHECK(golden_voxel(flow, axis) == Approx(golden.voxel[axis]).margin(1e-6));
  }
  CHECK(warped.mean().item<double>() == Approx(golden.warped_mean).epsilon(1e-6));
  CHECK(golden_voxel(warped, 0) == Approx(golden.warped_voxel).epsilon(1e-6));
}

double gradient_norm(const Model& model) {
  double square = 0.0;
  for (const Parameter& parameter : model.parameters().items()) {
    square += parameter.value.grad().square().sum().item<double>();
  }
  return std::sqrt(square);
}

}  // namespace

TEST_CASE("voxelmorph-pairwise has the parameters of the package, under its names, the flow layer first") {
  const auto model = make_model(kName, Json::object());
  CHECK(model->parameters().count() == 105017);
  CHECK(model->size_multiple() == 32);
  const auto& items = model->parameters().items();
  REQUIRE(items.size() == 26);
  CHECK(items[0].name == "flow_layer.conv0.weight");
  CHECK(items[2].name == "model.downsampling_conv_blocks.0.conv_block.conv0.weight");
  CHECK(items[12].name == "model.lowest_resolution_conv_block.conv0.weight");
  CHECK(items[14].name == "model.upsampling_conv_blocks.0.conv_block.conv0.weight");
  CHECK(items[14].value.sizes() == at::IntArrayRef({16, 32, 3, 3, 3}));
  CHECK(items[24].name == "model.out_layer.conv0.weight");
  CHECK(items[24].value.sizes() == at::IntArrayRef({3, 16, 1, 1, 1}));
  model->parameters().initialise(1);
  CHECK(items[0].value.abs().max().item<double>() < 1e-4);
  CHECK(items[1].value.abs().max().item<double>() == 0.0);
  CHECK(items[25].value.abs().max().item<double>() > 0.0);
}

TEST_CASE("voxelmorph-pairwise has the mul-adds of its layers at 160x192x224") {
  const double voxels = 160.0 * 192.0 * 224.0;
  const double full = 27.0 * (2 * 16 + 32 * 16 + 3 * 3) + 16 * 3;
  const double level = 27.0 * (16 * 16 + 32 * 16);
  const double lowest = 27.0 * 16 * 16;
  const double expected = voxels * (full + level / 8 + level / 64 + level / 512 + level / 4096 + lowest / 32768);
  CHECK(work_of(kName, Json::object(), 160, 192, 224).total() == Approx(expected));
}

TEST_CASE("voxelmorph-pairwise gives the fields, images and gradients of the package") {
  for (const GoldenCase& golden : golden_cases()) {
    INFO(golden.options.dump());
    Json options = golden.options;
    options["bidirectional"] = golden.back.sum != 0.0;
    const auto model = golden_model(kName, options);
    CHECK(model->parameters().count() == golden.parameters);
    for (const Parameter& parameter : model->parameters().items()) {
      at::Tensor value = parameter.value;
      value.set_data(value.to(at::kDouble));
    }
    const at::Tensor moving = golden_image(golden.D, golden.H, golden.W, 0.0).to(at::kDouble);
    const at::Tensor fixed = golden_image(golden.D, golden.H, golden.W, 1.0).to(at::kDouble);
    const ModelOutput out = model->forward(moving, fixed);
    check_golden(golden.there, out.flow, out.warped);
    if (golden.back.sum != 0.0) {
      check_golden(golden.back, out.inverse_flow, out.inverse_warped);
    }
    const at::Tensor loss = out.warped.sub(fixed).square().mean();
    CHECK(loss.item<double>() == Approx(golden.loss).epsilon(1e-6));
    loss.backward();
    CHECK(gradient_norm(*model) == Approx(golden.gradient_norm).epsilon(1e-6));
    for (const auto& [name, norm] : golden.gradient_norms) {
      INFO(name);
      REQUIRE(parameter_of(*model, name).defined());
      CHECK(parameter_of(*model, name).grad().norm().item<double>() == Approx(norm).epsilon(1e-6));
    }
  }
}

TEST_CASE("voxelmorph-pairwise integrates what it regularises, or not at all") {
  const ModelOutput plain = golden_forward(kName, small_and("int_steps", 0), 16, 24, 20);
  CHECK(plain.flow.is_same(plain.regularised));
  const ModelOutput by_default = golden_forward(kName, kSmall, 16, 24, 20);
  CHECK(by_default.flow.equal(integrate(plain.flow, {.steps = 5})));
  CHECK(by_default.regularised.equal(by_default.flow));
  CHECK_FALSE(by_default.inverse_flow.defined());
  const ModelOutput velocity = golden_forward(kName, small_and("regularised", "velocity"), 16, 24, 20);
  CHECK(velocity.regularised.equal(plain.flow));
  CHECK(velocity.flow.equal(by_default.flow));
}

TEST_CASE("voxelmorph-pairwise in both directions warps the fixed volume by the integral of the negated velocity") {
  Json options = small_and("bidirectional", true);
  const ModelOutput by_flow = golden_forward(kName, options, 16, 24, 20);
  options["regularised"] = "velocity";
  const ModelOutput both = golden_forward(kName, options, 16, 24, 20);
  CHECK(both.inverse_flow.equal(integrate(both.regularised.neg(), {.steps = 5})));
  CHECK(both.inverse_warped.equal(warp(golden_image(16, 24, 20, 1.0), both.inverse_flow)));
  CHECK_FALSE(both.inverse_regularised.defined());
  CHECK(by_flow.inverse_regularised.equal(both.inverse_flow));
}

TEST_CASE("voxelmorph-pairwise agrees in both memory layouts and learns from a step") {
  CHECK(layout_difference(kName, small_and("int_steps", 0)) < 1e-4);
  CHECK(layout_difference(kName, kSmall) < 1e-3);
  const auto [before, after] = one_step(kName, small_and("bidirectional", true));
  CHECK(after < before);
  CHECK(make_model(kName, Json::object())->numerical_on_cuda());
  CHECK_FALSE(make_model(kName, Json::object(), {.backend = Backend::kFast})->numerical_on_cuda());
  CHECK_FALSE(make_model(kName, Json{{"int_steps", 0}})->numerical_on_cuda());
}

TEST_CASE("voxelmorph-pairwise refuses wrong options and sizes in one line") {
  const auto make = [](const Json& options) { return make_model(kName, options); };
  CHECK_THROWS_WITH(make(Json{{"features", Json::array()}}), "/model/options/features: 0 values, expected 1..8");
  CHECK_THROWS_WITH(make(Json{{"up_features", {1, 1}}}),
                    "/model/options/up_features: 2 values, expected 5, as many as features");
  CHECK_THROWS_WITH(make(Json{{"bidirectional", true}, {"int_steps", 0}}),
                    "/model/options/bidirectional: true needs int_steps above 0");
  CHECK_THROWS_AS(make(Json{{"regularised", "warped"}}), ConfigError);
  CHECK_THROWS_AS(make(Json{{"features", {-1}}}), ConfigError);
  CHECK_THROWS_AS(make(Json{{"steps", 3}}), ConfigError);
  const at::Tensor odd = golden_image(32, 48, 32, 0.0);
  CHECK_THROWS_WITH(make(Json::object())->forward(odd, odd),
                    Catch::Contains("[1, 1, 32, 48, 32], each size must be a multiple of 32"));
}

}  // namespace regatta::test
