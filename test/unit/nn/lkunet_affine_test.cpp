// Affine LKU-Net: counts and names, identity and the original's collapse, inverse, gradients, refusals.
#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

Json small(const char* key = nullptr, const Json& value = {}) {
  Json options = {{"channels", 2}, {"size", {32, 48, 32}}};
  if (key != nullptr) {
    options[key] = value;
  }
  return options;
}

/// Output layers of the heads set to zero: what the network says is the identity.
void clear_heads(Model& model) {
  const at::NoGradGuard no_grad;
  for (const Parameter& parameter : model.parameters().items()) {
    if (parameter.name.find("_transParaEst") != std::string::npos) {
      parameter.value.zero_();
    }
  }
}

ModelOutput run(Model& model) {
  return model.forward(golden_image(32, 48, 32, 0.0), golden_image(32, 48, 32, 0.5));
}

}  // namespace

TEST_CASE("lkunet-affine has the parameter counts of the reference, mouse and elegans") {
  CHECK(make_model("lkunet-affine", Json::object(), {.without_data = true})->parameters().count() == 11467593);
  const Json elegans = {{"form", "elegans"}, {"size", {576, 256, 256}}};
  CHECK(make_model("lkunet-affine", elegans, {.without_data = true})->parameters().count() == 16382793);
}

TEST_CASE("lkunet-affine names its parameters as the reference does") {
  const auto model = make_model("lkunet-affine", small());
  const auto& items = model->parameters().items();
  CHECK(items[0].name == "eninput.0.weight");
  CHECK(items[2].name == "eninput.1.weight");
  const auto find = [&](const std::string& name) {
    return std::any_of(items.begin(), items.end(), [&](const Parameter& item) { return item.name == name; });
  };
  for (const char* name :
       {"ec1.1.weight", "ec3.layer_largeKernel.0.weight", "ec9.layer_nonlinearity.weight", "rot_gloFeaInt.weight",
        "act_rot.weight", "scl_transParaEst.bias", "shear_gloFeaInt.bias", "trans_transParaEst.weight"}) {
    INFO(name);
    CHECK(find(name));
  }
  CHECK(items.back().value.sizes() == at::IntArrayRef({3}));
}

TEST_CASE("lkunet-affine strides a worm's volume twice more, and runs on tensors without data") {
  const Json elegans = {{"form", "elegans"}, {"size", {576, 256, 256}}};
  // eninput at D / 2, ec1 at (D / 4, H / 2, W / 2), the rest at the mouse's resolutions: 144 x 128 x 128 voxels.
  const double mouse = work_of("lkunet-affine", Json{{"size", {144, 128, 128}}}, 144, 128, 128).convolution;
  const double input = 2.0 * 8 * 27 * 144 * 128 * 128;
  const Work work = work_of("lkunet-affine", elegans, 576, 256, 256);
  CHECK(work.convolution == Approx(mouse - input + 8.0 * input).epsilon(1e-9));
  CHECK(work.linear == Approx(4.0 * 36864 * 100 + 100.0 * 15));
}

TEST_CASE("lkunet-affine with silent heads is the identity, and the original's form collapses the volume") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("lkunet-affine", small());
  set_golden_weights(model->parameters());
  clear_heads(*model);
  const ModelOutput out = run(*model);
  CHECK(out.flow.abs().max().item<double>() == 0.0);
  CHECK(out.inverse_flow.abs().max().item<double>() == 0.0);
  CHECK(relative_difference(out.warped, golden_image(32, 48, 32, 0.0)) < 1e-5);
  CHECK(relative_difference(out.inverse_warped, golden_image(32, 48, 32, 0.5)) < 1e-5);
  CHECK(out.regularised.is_same(out.flow));

  const auto original = make_model("lkunet-affine", small("reference", true));
  set_golden_weights(original->parameters());
  clear_heads(*original);
  const ModelOutput point = run(*original);
  CHECK(point.flow[0][0][3][5][7].item<double>() == Approx(15.5 - 3.0));
  CHECK(point.flow[0][1][3][5][7].item<double>() == Approx(23.5 - 5.0));
  CHECK((point.warped.max() - point.warped.min()).item<double>() < 1e-5);
}

TEST_CASE("lkunet-affine gives an inverse that undoes its field inside") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("lkunet-affine", small());
  model->parameters().initialise(5);
  const ModelOutput out = run(*model);
  const at::Tensor both = compose(out.flow, out.inverse_flow);
  const auto inside = [](const at::Tensor& field) { return field.narrow(2, 12, 8).narrow(3, 18, 12).narrow(4, 12, 8); };
  CHECK(inside(out.flow).abs().max().item<double>() > 0.1);
  CHECK(inside(both).abs().max().item<double>() < 1e-3);
}

TEST_CASE("lkunet-affine sends gradients to every parameter, and learns in either layout") {
  std::vector<double> first;
  for (const bool channels_last : {false, true}) {
    const auto model = make_model("lkunet-affine", small("size", {16, 32, 16}), {.channels_last = channels_last});
    model->parameters().initialise(5);
    const at::Tensor moving = golden_image(16, 32, 16, 0.0);
    const at::Tensor fixed = golden_image(16, 32, 16, 0.5);
    std::vector<double> losses;
    for (int step = 0; step < 5; ++step) {
      const at::Tensor loss = (model->forward(moving, fixed).warped - fixed).square().mean();
      losses.push_back(loss.item<double>());
      loss.backward();
      const at::NoGradGuard no_grad;
      for (const Parameter& parameter : model->parameters().items()) {
        INFO(parameter.name);
        REQUIRE(parameter.value.grad().defined());
        CHECK(parameter.value.grad().abs().max().item<double>() > 0.0);
        parameter.value.sub_(parameter.value.grad().sign(), 3e-4);
        parameter.value.mutable_grad().reset();
      }
    }
    CHECK(losses.back() < losses.front());
    first.push_back(losses.front());
  }
  CHECK(first[0] == Approx(first[1]).epsilon(1e-5));
}

TEST_CASE("lkunet-affine refuses sizes and options that do not fit in one line") {
  CHECK_THROWS_WITH(make_model("lkunet-affine", Json{{"size", {96, 100, 96}}}),
                    "/model/options/size: [96, 100, 96], expected D, H, W, multiples of 16, 16, 16");
  CHECK_THROWS_WITH(make_model("lkunet-affine", Json{{"form", "elegans"}}),
                    "/model/options/size: [96, 128, 128], expected D, H, W, multiples of 64, 32, 32");
  CHECK_THROWS_WITH(make_model("lkunet-affine", Json{{"size", {96, 96}}}),
                    Catch::Contains("[96, 96], expected D, H, W"));
  CHECK_THROWS_WITH(make_model("lkunet-affine", Json{{"form", "rat"}}), Catch::Contains("have: mouse, elegans"));
  const auto model = make_model("lkunet-affine", small());
  const at::Tensor other = golden_image(32, 32, 32, 0.0);
  CHECK_THROWS_WITH(model->forward(other, other),
                    "lkunet-affine: volume [1, 1, 32, 32, 32], the option size says 32, 48, 32");
}

}  // namespace regatta::test
