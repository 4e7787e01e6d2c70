// Whole networks on the fast backend against the reference, on the CPU: what bf16 leaves of the field, and that
// gradients come. There LibTorch computes where a GPU has our kernels, so the wiring is tested and the kernels are not.
#include <ATen/TensorOperators.h>

#include <nlohmann/json.hpp>

#include "regatta/nn/model.hpp"
#include "support/catch.hpp"
#include "support/golden_network.hpp"
#include "support/golden_pair.hpp"

namespace regatta::test {
namespace {

ModelOutput pass_by(Backend backend, const std::string& name, const Json& options) {
  const auto model = make_model(name, options, {.backend = backend, .channels_last = backend == Backend::kFast});
  REQUIRE(model->context().backend == backend);
  set_golden_weights(model->parameters());
  ModelOutput out = model->forward(golden_image(32, 32, 32, 0.0), golden_image(32, 32, 32, 1.0));
  (out.warped.sum() + out.regularised.square().mean()).backward();
  for (const Parameter& parameter : model->parameters().items()) {
    INFO(parameter.name);
    CHECK((!parameter.value.grad().defined() || parameter.value.grad().scalar_type() == at::kFloat));
  }
  return out;
}

Json small_swin() {
  return {{"embed_dim", 16}, {"depths", {2, 1, 1, 1}}, {"heads", {1, 2, 2, 2}}, {"window", {2, 3, 2}}};
}

}  // namespace

TEST_CASE("networks of the fast backend give the reference's field within bf16") {
  const auto [name, options] = GENERATE(table<std::string, Json>({{"voxelmorph-2", Json::object()},
                                                                  {"lkunet", {{"channels", 4}}},
                                                                  {"lkunet", {{"channels", 4}, {"head", "half"}}},
                                                                  {"lkunet", {{"channels", 4}, {"cascade", 2}}},
                                                                  {"unet", {{"channels", 4}}},
                                                                  {"symnet", {{"channels", 4}}},
                                                                  {"fourier-net", {{"channels", 4}}},
                                                                  {"fourier-net-plus", {{"channels", 4}}},
                                                                  {"voxelmorph-diff", Json::object()},
                                                                  {"voxelmorph", Json::object()},
                                                                  {"transmorph", small_swin()},
                                                                  {"transmorph-diff", small_swin()},
                                                                  {"transmorph-bspl", small_swin()},
                                                                  {"voxelmorph-pairwise", Json::object()},
                                                                  {"voxelmorph-pairwise", {{"features", {0, 8}}}},
                                                                  {"vfa", Json::object()},
                                                                  {"vfa", {{"int_steps", 2}, {"skip", 1}}}}));
  CAPTURE(name, options.dump());
  const ModelOutput expected = pass_by(Backend::kReference, name, options);
  const ModelOutput found = pass_by(Backend::kFast, name, options);
  CHECK(found.flow.scalar_type() == at::kFloat);
  CHECK(relative_difference(found.flow, expected.flow) < 0.06);
  CHECK(relative_difference(found.warped, expected.warped) < 0.08);
}

TEST_CASE("networks by reference compute in float64 with weights and volumes of that type") {
  const auto [name, options] = GENERATE(table<std::string, Json>({{"voxelmorph", Json::object()},
                                                                  {"voxelmorph-pairwise", Json::object()},
                                                                  {"lkunet", {{"channels", 4}}},
                                                                  {"transmorph", small_swin()},
                                                                  {"transmorph-bspl", small_swin()}}));
  CAPTURE(name);
  const auto model = make_model(name, options);
  set_golden_weights(model->parameters());
  for (const Parameter& parameter : model->parameters().items()) {
    parameter.value.set_data(parameter.value.detach().to(at::kDouble));
  }
  const ModelOutput out =
      model->forward(golden_image(32, 32, 32, 0.0).to(at::kDouble), golden_image(32, 32, 32, 1.0).to(at::kDouble));
  CHECK(out.flow.scalar_type() == at::kDouble);
  out.flow.sum().backward();
  CHECK(model->parameters().items().front().value.grad().scalar_type() == at::kDouble);
}

}  // namespace regatta::test
