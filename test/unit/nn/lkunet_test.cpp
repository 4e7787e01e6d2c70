// LKU-Net against the reference's parameter counts, names, golden outputs and published mul-adds.
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

std::int64_t count_of(const Json& options) {
  return make_model("lkunet", options, {.without_data = true})->parameters().count();
}

/// In units of half the extent, as the reference has its fields.
at::Tensor normalised(const at::Tensor& field) {
  const auto factor = [&field](std::int64_t axis) { return 2.0 / static_cast<double>(field.size(axis) - 1); };
  return scale_components(field, {factor(2), factor(3), factor(4)});
}

struct Golden {
  double sum, mean, d, h, w;
};

void check_field(const at::Tensor& field, const Golden& golden) {
  CHECK(field.sum(at::kDouble).item<double>() == Approx(golden.sum).epsilon(1e-4));
  CHECK(field.abs().mean(at::kDouble).item<double>() == Approx(golden.mean).epsilon(1e-4));
  CHECK(field[0][0][21][32][21].item<double>() == Approx(golden.d).epsilon(1e-4).margin(1e-4 * golden.mean));
  CHECK(field[0][1][21][32][21].item<double>() == Approx(golden.h).epsilon(1e-4).margin(1e-4 * golden.mean));
  CHECK(field[0][2][21][32][21].item<double>() == Approx(golden.w).epsilon(1e-4).margin(1e-4 * golden.mean));
}

void check_warped(const at::Tensor& warped, double mean, double at_voxel) {
  CHECK(warped.mean(at::kDouble).item<double>() == Approx(mean).epsilon(1e-4));
  CHECK(warped[0][0][21][32][21].item<double>() == Approx(at_voxel).epsilon(1e-4));
}

}  // namespace

TEST_CASE("lkunet has the parameter counts of the reference") {
  const std::map<int, std::int64_t> expected = {{4, 522302}, {8, 2086342}, {16, 8339702}, {32, 33347542}};
  const std::map<int, std::int64_t> with_dc10 = {{4, 522950}, {8, 2087638}, {16, 8342294}, {32, 33352726}};
  for (const auto& [channels, count] : expected) {
    INFO(channels << " channels");
    CHECK(count_of({{"channels", channels}}) == count);
    CHECK(count == 32555LL * channels * channels + 350LL * channels + 22);
    CHECK(count_of({{"channels", channels}, {"dc10", true}}) == with_dc10.at(channels));
    CHECK(count_of({{"channels", channels}, {"head", "half"}}) == count);
    CHECK(count_of({{"channels", channels}, {"cascade", 3}}) == count);
  }
}

TEST_CASE("lkunet has the published mul-adds at 160x192x224, and the true ones") {
  const Work four = work_of("lkunet", {{"channels", 4}}, 160, 192, 224);
  CHECK(four.total() == Approx(67.24e9).epsilon(1e-3));
  CHECK(four.published == Approx(70.99e9).epsilon(1e-3));
  const Work eight = work_of("lkunet", {{"channels", 8}}, 160, 192, 224);
  CHECK(eight.total() == Approx(257.06e9).epsilon(1e-3));
  CHECK(eight.published == Approx(272.09e9).epsilon(1e-3));
  CHECK(work_of("lkunet", {{"channels", 16}}, 160, 192, 224).total() == Approx(1004.4e9).epsilon(1e-3));
  CHECK(work_of("lkunet", {{"channels", 8}, {"head", "half"}}, 160, 192, 224).total() ==
        Approx(128.58e9).epsilon(1e-3));
}

TEST_CASE("lkunet names its parameters as the reference does, in its order") {
  const auto model = make_model("lkunet", {{"channels", 4}, {"dc10", true}});
  const auto& items = model->parameters().items();
  REQUIRE(items.size() == 84);
  CHECK(items[0].name == "eninput.0.weight");
  CHECK(items[2].name == "eninput.1.weight");
  CHECK(items[2].value.sizes() == at::IntArrayRef({1}));
  CHECK(items[9].name == "ec3.layer_regularKernel.0.weight");
  CHECK(items[11].name == "ec3.layer_largeKernel.0.weight");
  CHECK(items[11].value.sizes() == at::IntArrayRef({8, 8, 5, 5, 5}));
  CHECK(items[15].name == "ec3.layer_nonlinearity.weight");
  CHECK(items[70].name == "dc9.0.weight");
  CHECK(items[71].name == "dc10.0.weight");
  CHECK(items[72].name == "up1.0.weight");
  CHECK(items[72].value.sizes() == at::IntArrayRef({32, 32, 2, 2, 2}));
  CHECK(items[83].name == "up4.1.weight");
  CHECK(make_model("lkunet", {{"channels", 4}, {"cascade", 3}})->parameters().items()[0].name ==
        "net1.eninput.0.weight");
}

TEST_CASE("lkunet gives the golden velocity, its exponential and the golden warped volumes") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(64, 96, 64, 0.0);
  const at::Tensor fixed = golden_image(64, 96, 64, 1.0);
  for (const bool channels_last : {false, true}) {
    INFO("channels last " << channels_last);
    const auto model = make_model("lkunet", {{"channels", 4}, {"dc10", true}}, {.channels_last = channels_last});
    set_golden_weights(model->parameters());
    const ModelOutput out = model->forward(moving, fixed);
    check_field(normalised(out.regularised), {-2.157794e4, 0.2020479, 0.057473, 0.047090, 0.029048});
    check_field(normalised(out.flow), {-7.114085e3, 0.04328579, 0.012202, 0.029323, 0.040597});
    check_warped(out.warped, 0.465164, 0.995451);
  }
  const auto direct = make_model("lkunet", {{"channels", 4}, {"dc10", true}, {"diffeomorphic", false}});
  set_golden_weights(direct->parameters());
  const ModelOutput out = direct->forward(moving, fixed);
  CHECK(out.regularised.is_same(out.flow));
  check_warped(out.warped, 0.372114, 0.999015);
}

TEST_CASE("lkunet at half resolution is the head of the coarser level, resized by faces or corners") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(32, 48, 16, 0.0);
  const at::Tensor fixed = golden_image(32, 48, 16, 1.0);
  const auto field = [&](const char* head) {
    const auto model = make_model("lkunet", {{"channels", 4}, {"head", head}, {"diffeomorphic", false}});
    set_golden_weights(model->parameters());
    return model->forward(moving, fixed).flow;
  };
  const at::Tensor faces = field("half");
  const at::Tensor corners = field("half-corners");
  CHECK(faces.sizes() == at::IntArrayRef({1, 3, 32, 48, 16}));
  // By corners, the outermost voxels are the coarse ones; by faces, the first two are the same coarse voxel.
  CHECK(faces[0][0][0][0][0].item<float>() == Approx(corners[0][0][0][0][0].item<float>()));
  CHECK_FALSE(faces.allclose(corners));
}

TEST_CASE("a cascade of one shared network composes its fields") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = golden_image(16, 32, 16, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 16, 1.0);
  Json options = {{"channels", 2}, {"diffeomorphic", false}};
  const auto single = make_model("lkunet", options);
  options["cascade"] = 2;
  const auto twice = make_model("lkunet", options);
  set_golden_weights(single->parameters());
  set_golden_weights(twice->parameters());
  const ModelOutput first = single->forward(moving, fixed);
  const ModelOutput second = single->forward(first.warped, fixed);
  const at::Tensor expected = compose(first.flow, second.flow, {.outside = Outside::kBorder});
  CHECK(relative_difference(twice->forward(moving, fixed).flow, expected) < 1e-6);
}

TEST_CASE("a folded lkunet gives the field of the parallel one") {
  const at::NoGradGuard no_grad;
  const auto parallel = make_model("lkunet", {{"channels", 2}});
  const auto folded = make_model("lkunet", {{"channels", 2}, {"folded", true}});
  set_golden_weights(parallel->parameters());
  std::map<std::string, at::Tensor> values;
  for (const Parameter& parameter : parallel->parameters().items()) {
    values[parameter.name] = parameter.value;
  }
  for (const Parameter& parameter : folded->parameters().items()) {
    const std::size_t at = parameter.name.find(".folded.");
    if (at == std::string::npos) {
      parameter.value.copy_(values.at(parameter.name));
      continue;
    }
    const std::string block = parameter.name.substr(0, at);
    const bool weight = parameter.name.ends_with("weight");
    const auto part = [&](const char* layer) { return values.at(str(block, layer, weight ? "weight" : "bias")); };
    const std::vector<at::Tensor> parts = {part(".layer_regularKernel.0."), part(".layer_largeKernel.0."),
                                           part(".layer_oneKernel.0.")};
    parameter.value.copy_(weight ? fold_kernels(parts, 5) : parts[0] + parts[1] + parts[2]);
  }
  const at::Tensor moving = golden_image(16, 32, 16, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 16, 1.0);
  CHECK(relative_difference(folded->forward(moving, fixed).flow, parallel->forward(moving, fixed).flow) < 1e-4);
}

TEST_CASE("lkunet trains: a step along its gradients lowers the loss, all used parameters have one") {
  const auto model = make_model("lkunet", {{"channels", 2}});
  model->parameters().initialise(5);
  const at::Tensor moving = golden_image(16, 32, 16, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 16, 1.0);
  const auto loss = [&] { return (model->forward(moving, fixed).warped - fixed).square().mean(); };
  const at::Tensor before = loss();
  before.backward();
  {
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : model->parameters().items()) {
      INFO(parameter.name);
      REQUIRE(parameter.value.grad().defined());
      CHECK(parameter.value.grad().isfinite().all().item<bool>());
      parameter.value.sub_(parameter.value.grad(), 0.05);
    }
  }
  CHECK(loss().item<double>() < before.item<double>());
}

TEST_CASE("lkunet refuses wrong options and sizes in one line") {
  CHECK_THROWS_WITH(make_model("lkunet", {{"kernel", 4}}),
                    "/model/options/kernel: 4 is even, expected an odd number 3..13");
  CHECK_THROWS_WITH(make_model("lkunet", {{"head", "quarter"}}), Catch::Contains("have: full, half, half-corners"));
  const at::Tensor odd = golden_image(16, 24, 16, 0.0);
  CHECK_THROWS_WITH(make_model("lkunet", {{"channels", 2}})->forward(odd, odd),
                    Catch::Contains("[1, 1, 16, 24, 16], each size must be a multiple of 16"));
}

}  // namespace regatta::test
