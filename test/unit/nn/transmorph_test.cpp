// TransMorph against the reference's parameter counts, names, golden outputs and published mul-adds.
#include <map>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv_transpose1d.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <nlohmann/json.hpp>

#include "nn/layers/resize.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

std::int64_t count_of(const std::string& name, const Json& options = Json::object()) {
  return make_model(name, options, {.without_data = true})->parameters().count();
}

const Parameter& named(const Model& model, const std::string& name) {
  for (const Parameter& parameter : model.parameters().items()) {
    if (parameter.name == name) {
      return parameter;
    }
  }
  throw BugError("no parameter " + name);
}

/// The smallest of the family on a small pair; two blocks a stage.
Json tiny_options(bool recompute) {
  return {{"embed_dim", 4},      {"depths", {2, 2, 2, 2}}, {"heads", {1, 1, 2, 2}},
          {"window", {2, 3, 2}}, {"drop_path", 0.3},       {"recompute", recompute}};
}

std::vector<at::Tensor> tiny_gradients(bool recompute, bool channels_last, bool training) {
  const auto model = make_model("transmorph", tiny_options(recompute), {.channels_last = channels_last});
  set_golden_weights(model->parameters());
  if (training) {
    model->set_training({3, 17});
  }
  const ModelOutput out = model->forward(golden_image(32, 64, 32, 0.0), golden_image(32, 64, 32, 1.0));
  out.warped.square().mean().add(out.flow.square().mean(), 0.01).backward();
  std::vector<at::Tensor> gradients = {out.flow.detach()};
  for (const Parameter& parameter : model->parameters().items()) {
    if (parameter.value.grad().defined()) {
      gradients.push_back(parameter.value.grad());
    }
  }
  return gradients;
}

}  // namespace

TEST_CASE("transmorph has the parameter counts of the reference") {
  const std::map<std::string, std::int64_t> expected = {
      {"transmorph", 46771251},        {"transmorph-tiny", 244527},    {"transmorph-small", 11757195},
      {"transmorph-large", 108343907}, {"transmorph-oasis", 46556979}, {"transmorph-large-oasis", 107949923},
      {"transmorph-diff", 46557414},   {"transmorph-bspl", 46806307}};
  for (const auto& [name, count] : expected) {
    INFO(name);
    CHECK(count_of(name) == count);
  }
  CHECK(count_of("transmorph", {{"conv_skip", false}}) == 46702131);
  CHECK(count_of("transmorph", {{"trans_skip", false}}) == 41545779);
  CHECK(count_of("transmorph", {{"conv_skip", false}, {"trans_skip", false}}) == 41476659);
  CHECK(count_of("transmorph-diff", {{"full_resolution", true}}) == 46772550);
  CHECK(count_of("transmorph", {{"position", "learned"}}) == 63630387);
  CHECK(count_of("transmorph", {{"position", "sinusoidal"}}) == 46771251);
  CHECK(count_of("transmorph", {{"relative_position", false}}) == 46771251);
}

TEST_CASE("transmorph has the published mul-adds at 160x192x224, and the true ones") {
  const Work base = work_of("transmorph", Json::object(), 160, 192, 224);
  CHECK(base.convolution == Approx(657.548e9).epsilon(1e-5));
  CHECK(base.published == Approx(657.646e9).epsilon(1e-5));
  CHECK(base.linear == Approx(54.004e9).epsilon(1e-4));
  CHECK(base.attention == Approx(12.057e9).epsilon(1e-4));
  CHECK(base.total() == Approx(723.6e9).epsilon(1e-4));
  CHECK(work_of("transmorph-tiny", Json::object(), 160, 192, 224).total() == Approx(121.7e9).epsilon(1e-3));
  CHECK(work_of("transmorph-small", Json::object(), 160, 192, 224).total() == Approx(303.0e9).epsilon(1e-3));
  CHECK(work_of("transmorph-large", Json::object(), 160, 192, 224).total() == Approx(1175.7e9).epsilon(1e-3));
}

TEST_CASE("transmorph names its parameters as the reference does, in its order") {
  const auto model = make_model("transmorph", Json::object(), {.without_data = true});
  const auto& items = model->parameters().items();
  CHECK(items[0].name == "transformer.patch_embed.proj.weight");
  CHECK(items[0].value.sizes() == at::IntArrayRef({96, 2, 4, 4, 4}));
  CHECK(items[3].name == "transformer.patch_embed.norm.bias");
  CHECK(items[4].name == "transformer.layers.0.blocks.0.norm1.weight");
  CHECK(items[6].name == "transformer.layers.0.blocks.0.attn.relative_position_bias_table");
  CHECK(items[6].value.sizes() == at::IntArrayRef({1287, 4}));
  CHECK(named(*model, "transformer.layers.2.blocks.3.attn.qkv.weight").value.sizes() == at::IntArrayRef({1152, 384}));
  CHECK(named(*model, "transformer.layers.1.downsample.reduction.weight").value.sizes() ==
        at::IntArrayRef({384, 1536}));
  CHECK(named(*model, "up0.conv1.0.weight").value.sizes() == at::IntArrayRef({384, 1152, 3, 3, 3}));
  CHECK(named(*model, "c1.0.weight").value.sizes() == at::IntArrayRef({48, 2, 3, 3, 3}));
  CHECK(named(*model, "c2.0.weight").value.sizes() == at::IntArrayRef({16, 2, 3, 3, 3}));
  CHECK(items[items.size() - 2].name == "reg_head.0.weight");
  CHECK(items.back().name == "reg_head.0.bias");
}

TEST_CASE("transmorph gives the golden fields and warped volumes") {
  struct Golden {
    const char* name;
    Json options;
    double sum, mean, d, h, w, warped_mean, warped;
  };
  const std::vector<Golden> rows = {
      {"transmorph-small", Json::object(), -4.547571e4, 0.5110822, -0.017437, -0.013101, 0.002569, 0.462158, 0.948908},
      {"transmorph", Json::object(), 5.982036e4, 0.5661088, 0.024790, -0.033171, -0.067419, 0.466259, 0.946255},
      {"transmorph-oasis",
       {{"shifted_grid", true}},
       -2.244409e4,
       0.4815467,
       0.020306,
       0.110078,
       0.142702,
       0.457375,
       0.945564}};
  const at::NoGradGuard no_grad;
  for (const Golden& row : rows) {
    INFO(row.name);
    const auto model = make_model(row.name, row.options, {.channels_last = true});
    set_golden_weights(model->parameters());
    const ModelOutput out = model->forward(golden_image(64, 96, 64, 0.0), golden_image(64, 96, 64, 1.0));
    const at::Tensor& field = out.regularised;  // the network's own: `flow` holds the shift of a shifted grid too
    CHECK(field.sum(at::kDouble).item<double>() == Approx(row.sum).epsilon(1e-4));
    CHECK(field.abs().mean(at::kDouble).item<double>() == Approx(row.mean).epsilon(1e-4));
    CHECK(field[0][0][21][32][21].item<double>() == Approx(row.d).margin(1e-4 * row.mean));
    CHECK(field[0][1][21][32][21].item<double>() == Approx(row.h).margin(1e-4 * row.mean));
    CHECK(field[0][2][21][32][21].item<double>() == Approx(row.w).margin(1e-4 * row.mean));
    CHECK(out.flow.is_same(field) == row.options.empty());
    CHECK(out.warped.mean(at::kDouble).item<double>() == Approx(row.warped_mean).epsilon(1e-4));
    CHECK(out.warped[0][0][21][32][21].item<double>() == Approx(row.warped).epsilon(1e-4));
  }
}

TEST_CASE("transmorph has the same gradients with recomputed blocks and in both layouts") {
  for (const bool training : {false, true}) {
    const auto plain = tiny_gradients(false, false, training);
    const auto lean = tiny_gradients(true, true, training);
    REQUIRE(plain.size() == lean.size());
    REQUIRE(plain.size() > 60);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      INFO("tensor " << i << ", training " << training);
      CHECK((lean[i] - plain[i]).norm().item<double>() < 1e-3 * (1e-6 + plain[i].norm().item<double>()));
    }
  }
  CHECK_FALSE(tiny_gradients(false, false, true)[0].equal(tiny_gradients(false, false, false)[0]));
  CHECK(tiny_gradients(false, false, true)[0].equal(tiny_gradients(false, false, true)[0]));
}

TEST_CASE("transmorph-diff gives the golden displacement of its reference form") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("transmorph-diff", {{"reference", true}});
  set_golden_weights(model->parameters());
  const ModelOutput out = model->forward(golden_image(64, 96, 64, 0.0), golden_image(64, 96, 64, 1.0));
  const at::Tensor unit = scale_components(out.flow, {2.0 / 63, 2.0 / 95, 2.0 / 63});
  CHECK(unit.sum(at::kDouble).item<double>() == Approx(6.286372e4).epsilon(1e-4));
  CHECK(unit.abs().mean(at::kDouble).item<double>() == Approx(0.1325280).epsilon(1e-4));
  CHECK(unit[0][0][21][32][21].item<double>() == Approx(0.126214).epsilon(1e-4));
  CHECK(unit[0][1][21][32][21].item<double>() == Approx(0.095271).epsilon(1e-4));
  CHECK(unit[0][2][21][32][21].item<double>() == Approx(0.126181).epsilon(1e-4));
  CHECK(out.warped.mean(at::kDouble).item<double>() == Approx(0.463642).epsilon(1e-4));
  CHECK(out.warped[0][0][21][32][21].item<double>() == Approx(0.850111).epsilon(1e-4));
}

TEST_CASE("transmorph-bspl: constant control points give a constant velocity, a constant velocity a translation") {
  const at::NoGradGuard no_grad;
  Json options = tiny_options(false);
  const auto model = make_model("transmorph-bspl", options);
  model->parameters().initialise(1);
  named(*model, "out_layer.weight").value.zero_();
  named(*model, "out_layer.bias").value.copy_(at::tensor({0.5F, -1.0F, 2.0F}));
  const at::Tensor image = golden_image(32, 64, 32, 0.0);
  const ModelOutput out = model->forward(image, image);
  CHECK(out.regularised.select(1, 1).sub(-1.0).abs().max().item<double>() < 1e-5);  // the splines sum to one
  CHECK(out.regularised.select(1, 2).sub(2.0).abs().max().item<double>() < 1e-5);
  CHECK(out.flow[0][2][16][32][16].item<double>() == Approx(2.0).epsilon(1e-4));
  options["reference"] = true;
  const auto published = make_model("transmorph-bspl", options);
  published->parameters().initialise(1);
  CHECK_FALSE(published->forward(image, image).warped.allclose(model->forward(image, image).warped, 1e-3));
}

TEST_CASE("the B-spline decoder equals the transposed convolution of the reference") {
  // One axis: kernel of 4 s - 1 values, stride s, padding 2 s - 1, then the outputs s .. s + size.
  const at::NoGradGuard no_grad;
  constexpr std::int64_t kSpacing = 3;
  constexpr std::int64_t kSize = 17;
  constexpr std::int64_t kPoints = (kSize - 1 + kSpacing - 1) / kSpacing + 3;
  at::Tensor kernel = at::zeros({1, 1, 4 * kSpacing - 1}, at::TensorOptions().dtype(at::kDouble));
  for (std::int64_t i = 0; i < kernel.size(2); ++i) {
    const double t = std::abs(static_cast<double>(i - (2 * kSpacing - 1)) / static_cast<double>(kSpacing));
    kernel[0][0][i] = t < 1.0 ? 2.0 / 3.0 + (t / 2.0 - 1.0) * t * t : (2.0 - t) * (2.0 - t) * (2.0 - t) / 6.0;
  }
  const at::Tensor control = noise(1, 1, kPoints, 4).view({1, 1, kPoints});
  const at::Tensor expected =
      at::conv_transpose1d(control, kernel, {}, kSpacing, 2 * kSpacing - 1).narrow(2, kSpacing, kSize);
  const at::Tensor ours = at::matmul(control, spline_matrix(kSize, kPoints, kSpacing, control).t());
  CHECK(relative_difference(ours, expected) < 1e-12);
}

TEST_CASE("transmorph with absolute positions sees where a patch lies") {
  const at::NoGradGuard no_grad;
  for (const char* position : {"learned", "sinusoidal"}) {
    Json options = tiny_options(false);
    const auto without = make_model("transmorph", options);
    options["position"] = position;
    const auto with = make_model("transmorph", options);
    set_golden_weights(without->parameters());
    set_golden_weights(with->parameters());
    const at::Tensor image = golden_image(32, 32, 64, 0.0);
    CHECK(relative_difference(with->forward(image, image).flow, without->forward(image, image).flow) > 1e-3);
  }
}

TEST_CASE("transmorph refuses wrong options and sizes in one line") {
  CHECK_THROWS_WITH(make_model("transmorph", {{"heads", {5, 4, 8, 8}}}),
                    "/model/options/heads/0: 5 heads do not divide the stage's 96 channels");
  CHECK_THROWS_WITH(make_model("transmorph", {{"window", {5, 6}}}), "/model/options/window: 2 values, expected 3");
  CHECK_THROWS_WITH(make_model("transmorph-tiny", {{"embed_dim", 8}}), Catch::Contains("embed_dim: unknown key"));
  const at::Tensor odd = golden_image(32, 48, 32, 0.0);
  CHECK_THROWS_WITH(make_model("transmorph-tiny", Json::object())->forward(odd, odd),
                    Catch::Contains("[1, 1, 32, 48, 32], each size must be a multiple of 32"));
}

}  // namespace regatta::test
