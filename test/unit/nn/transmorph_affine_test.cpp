// Affine TransMorph: counts and names, identity, inverse, gradients, refusals.
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

Json small() {
  return {{"embed_dim", 4}, {"depths", {1, 2, 1, 1}}, {"heads", {1, 1, 2, 2}}, {"size", {64, 96, 64}}};
}

ModelOutput run(Model& model) {
  return model.forward(golden_image(64, 96, 64, 0.0), golden_image(64, 96, 64, 0.3));
}

bool is_head_output(const Parameter& parameter) {
  return parameter.name.find(".2.") != std::string::npos && !parameter.name.starts_with("transformer.");
}

}  // namespace

TEST_CASE("transmorph-affine has the parameter count of the reference, and its encoder's names") {
  const auto model = make_model("transmorph-affine", Json::object(), {.without_data = true});
  CHECK(model->parameters().count() == 90095131);
  CHECK(model->options_identity().empty());
  const auto& items = model->parameters().items();
  CHECK(items[0].name == "transformer.patch_embed.proj.weight");
  CHECK(items[items.size() - 16].name == "rotation.0.weight");
  CHECK(items[items.size() - 16].value.sizes() == at::IntArrayRef({100, 161280}));
  CHECK(items.back().name == "shear.2.bias");
  CHECK(items.back().value.sizes() == at::IntArrayRef({6}));
}

TEST_CASE("transmorph-affine runs on tensors without data: the encoder of transmorph and four heads") {
  const Work work = work_of("transmorph-affine", Json::object(), 160, 192, 224);
  CHECK(work.attention == Approx(12.057e9).epsilon(1e-4));
  CHECK(work.linear == Approx(54.004e9 + 4.0 * 161280 * 100).epsilon(1e-3));
}

TEST_CASE("transmorph-affine with silent heads is the identity") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("transmorph-affine", small());
  set_golden_weights(model->parameters());
  for (const Parameter& parameter : model->parameters().items()) {
    if (is_head_output(parameter)) {
      parameter.value.zero_();
    }
  }
  const ModelOutput out = run(*model);
  CHECK(out.flow.abs().max().item<double>() == 0.0);
  CHECK(out.inverse_flow.abs().max().item<double>() == 0.0);
  CHECK(relative_difference(out.warped, golden_image(64, 96, 64, 0.0)) < 1e-5);
  CHECK(out.regularised.is_same(out.flow));
}

TEST_CASE("transmorph-affine gives an inverse that undoes its field inside, the same in either layout") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("transmorph-affine", small());
  set_golden_weights(model->parameters());
  const ModelOutput out = run(*model);
  const at::Tensor both = compose(out.flow, out.inverse_flow);
  const auto inside = [](const at::Tensor& field) {
    return field.narrow(2, 26, 12).narrow(3, 38, 20).narrow(4, 26, 12);
  };
  CHECK(inside(out.flow).abs().max().item<double>() > 0.1);
  CHECK(inside(both).abs().max().item<double>() < 1e-3);
  const auto last = make_model("transmorph-affine", small(), {.channels_last = true});
  set_golden_weights(last->parameters());
  CHECK(relative_difference(run(*last).flow, out.flow) < 1e-4);
}

TEST_CASE("transmorph-affine sends gradients to every head, and learns") {
  const auto model = make_model("transmorph-affine", small());
  model->parameters().initialise(5);
  const at::Tensor fixed = golden_image(64, 96, 64, 0.3);
  std::vector<double> losses;
  for (int step = 0; step < 4; ++step) {
    const at::Tensor loss = (run(*model).warped - fixed).square().mean();
    losses.push_back(loss.item<double>());
    loss.backward();
    const at::NoGradGuard no_grad;
    for (const Parameter& parameter : model->parameters().items()) {
      INFO(parameter.name);
      if (!parameter.value.grad().defined()) {  // norms of the stages whose maps nobody reads
        CHECK(parameter.name.starts_with("transformer.norm"));
        continue;
      }
      if (!parameter.name.starts_with("transformer.")) {
        CHECK(parameter.value.grad().abs().max().item<double>() > 0.0);
      }
      parameter.value.sub_(parameter.value.grad().sign(), 3e-4);
      parameter.value.mutable_grad().reset();
    }
  }
  CHECK(losses.back() < losses.front());
}

TEST_CASE("transmorph-affine refuses sizes that do not fit in one line") {
  CHECK_THROWS_WITH(make_model("transmorph-affine", Json{{"size", {160, 192, 220}}}),
                    "/model/options/size: [160, 192, 220], expected D, H, W, multiples of 32, 32, 32");
  CHECK_THROWS_AS(make_model("transmorph-affine", Json{{"window", {5, 6, 7}}}), ConfigError);
  const auto model = make_model("transmorph-affine", small());
  const at::Tensor other = golden_image(64, 64, 64, 0.0);
  CHECK_THROWS_WITH(model->forward(other, other),
                    "transmorph-affine: volume [1, 1, 64, 64, 64], the option size says 64, 96, 64");
}

}  // namespace regatta::test
