// VoxelMorph against the reference's parameter counts, golden outputs and published mul-adds.
#include <map>

#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "nn/layers/conv.hpp"
#include "nn/layers/resize.hpp"
#include "regatta/base/error.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/work.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"

namespace regatta::test {
namespace {

double at_voxel(const at::Tensor& volume, std::int64_t channel) {
  return volume[0][channel][21][32][21].item<double>();
}

ModelOutput golden_forward(bool channels_last) {
  const at::NoGradGuard no_grad;
  const auto model = make_model("voxelmorph-2", Json::object(), {.channels_last = channels_last});
  set_golden_weights(model->parameters());
  return model->forward(golden_image(64, 96, 64, 0.0), golden_image(64, 96, 64, 1.0));
}

/// Gradients of a scalar made of both outputs, in a small volume.
std::vector<at::Tensor> small_gradients(bool channels_last) {
  const auto model = make_model("voxelmorph-2", Json::object(), {.channels_last = channels_last});
  set_golden_weights(model->parameters());
  const ModelOutput out = model->forward(golden_image(16, 32, 48, 0.0), golden_image(16, 32, 48, 1.0));
  out.warped.square().mean().add(out.flow.square().mean(), 0.01).backward();
  std::vector<at::Tensor> gradients;
  for (const Parameter& parameter : model->parameters().items()) {
    gradients.push_back(parameter.value.grad());
  }
  return gradients;
}

}  // namespace

TEST_CASE("voxelmorph has the parameter counts of the reference") {
  const std::map<std::string, std::int64_t> expected = {{"voxelmorph-1", 274387},
                                                        {"voxelmorph-2", 301411},
                                                        {"voxelmorph-x2", 1197251},
                                                        {"voxelmorph-huge", 63252939},
                                                        {"voxelmorph-custom", 301411}};
  for (const auto& [name, count] : expected) {
    INFO(name);
    CHECK(make_model(name, Json::object())->parameters().count() == count);
  }
}

TEST_CASE("voxelmorph has the mul-adds of the reference at 160x192x224") {
  const Work two = work_of("voxelmorph-2", Json::object(), 160, 192, 224);
  CHECK(two.total() == Approx(398.808e9).epsilon(2e-6));
  CHECK(two.published == two.total());
  CHECK(work_of("voxelmorph-1", Json::object(), 160, 192, 224).total() == Approx(304.053e9).epsilon(2e-6));
}

TEST_CASE("voxelmorph names its parameters as the reference does, in its order") {
  const auto model = make_model("voxelmorph-2", Json::object());
  const auto& items = model->parameters().items();
  REQUIRE(items.size() == 24);
  CHECK(items[0].name == "unet_model.downarm.0.main.weight");
  CHECK(items[0].value.sizes() == at::IntArrayRef({16, 2, 3, 3, 3}));
  CHECK(items[1].name == "unet_model.downarm.0.main.bias");
  CHECK(items[8].name == "unet_model.uparm.0.main.weight");
  CHECK(items[14].name == "unet_model.uparm.3.main.weight");
  CHECK(items[14].value.sizes() == at::IntArrayRef({32, 48, 3, 3, 3}));
  CHECK(items[16].name == "unet_model.extras.0.main.weight");
  CHECK(items[16].value.sizes() == at::IntArrayRef({32, 34, 3, 3, 3}));
  CHECK(items[22].name == "flow.weight");
  CHECK(items[23].name == "flow.bias");
}

TEST_CASE("voxelmorph gives the golden field and warped volume") {
  for (const bool channels_last : {false, true}) {
    INFO("channels last " << channels_last);
    const ModelOutput out = golden_forward(channels_last);
    CHECK(out.flow.sum(at::kDouble).item<double>() == Approx(-1.327523e5).epsilon(1e-4));
    CHECK(out.flow.abs().mean(at::kDouble).item<double>() == Approx(5.795013).epsilon(1e-4));
    CHECK(at_voxel(out.flow, 0) == Approx(3.212510).epsilon(1e-4));
    CHECK(at_voxel(out.flow, 1) == Approx(0.196650).epsilon(1e-4).margin(1e-4));
    CHECK(at_voxel(out.flow, 2) == Approx(-2.926325).epsilon(1e-4));
    CHECK(out.warped.mean(at::kDouble).item<double>() == Approx(0.411882).epsilon(1e-4));
    CHECK(at_voxel(out.warped, 0) == Approx(0.877635).epsilon(1e-4));
    CHECK(out.regularised.is_same(out.flow));
  }
}

TEST_CASE("voxelmorph in channels-last layout has the same gradients and keeps its parameters' layout") {
  const auto plain = small_gradients(false);
  const auto last = small_gradients(true);
  REQUIRE(plain.size() == last.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    INFO("parameter " << i);
    CHECK(relative_difference(last[i], plain[i]) < 2e-4);
    CHECK(last[i].is_contiguous());
  }
}

TEST_CASE("voxelmorph starts with a field of almost zero and a fresh seed changes it") {
  const at::NoGradGuard no_grad;
  const auto model = make_model("voxelmorph-1", Json::object());
  const at::Tensor moving = golden_image(16, 32, 16, 0.0);
  const at::Tensor fixed = golden_image(16, 32, 16, 1.0);
  model->parameters().initialise(1);
  const ModelOutput first = model->forward(moving, fixed);
  const double largest = first.flow.abs().max().item<double>();
  CHECK(largest > 0.0);
  CHECK(largest < 1e-3);
  CHECK(relative_difference(first.warped, moving) < 1e-3);
  model->parameters().initialise(2);
  CHECK_FALSE(model->forward(moving, fixed).flow.equal(first.flow));
}

TEST_CASE("voxelmorph takes feature lists of its own and writes them out") {
  Json options;
  options["encoder"] = {4, 6, 8, 10};
  options["decoder"] = {10, 8, 6, 6, 6, 4, 4};
  const auto model = make_model("voxelmorph-custom", options);
  CHECK(model->options()["encoder"] == options["encoder"]);
  CHECK(model->options_identity() == options);
  CHECK(make_model("voxelmorph-custom", Json::object())->options_identity().empty());
  CHECK(make_model("voxelmorph-custom", Json::object())->options()["decoder"].size() == 7);
  const at::NoGradGuard no_grad;
  CHECK(model->forward(golden_image(16, 16, 32, 0.0), golden_image(16, 16, 32, 1.0)).flow.size(1) == 3);
}

TEST_CASE("voxelmorph refuses wrong options and sizes in one line") {
  CHECK_THROWS_WITH(make_model("voxelmorph-custom", Json{{"encoder", {1, 2}}}),
                    "/model/options/encoder: 2 values, expected 4");
  CHECK_THROWS_WITH(make_model("voxelmorph-custom", Json{{"decoder", {0, 1, 1, 1, 1, 1, 1}}}),
                    Catch::Contains("/model/options/decoder/0: 0 is outside"));
  CHECK_THROWS_AS(make_model("voxelmorph-2", Json{{"encoder", {1, 2, 3, 4}}}), ConfigError);
  CHECK_THROWS_WITH(make_model("voxelmorf", Json::object()),
                    Catch::Contains("have: voxelmorph, voxelmorph-diff, voxelmorph-pairwise, voxelmorph-1"));
  const auto model = make_model("voxelmorph-1", Json::object());
  const at::Tensor odd = golden_image(16, 20, 16, 0.0);
  CHECK_THROWS_WITH(model->forward(odd, odd),
                    Catch::Contains("[1, 1, 16, 20, 16], each size must be a multiple of 16"));
  CHECK_THROWS_AS(model->forward(golden_image(16, 16, 16, 0.0), odd), DataError);
}

}  // namespace regatta::test
