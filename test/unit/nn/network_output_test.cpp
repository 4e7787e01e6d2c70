// What every network's output promises: the warped volume is the moving one, read where the field points. Labels,
// points and the files of `regatta register` follow the field alone.
#include <algorithm>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>

#include <nlohmann/json.hpp>

#include "nn/layers/grid.hpp"
#include "nn/layers/resize.hpp"
#include "nn/models/parts/shifted_grid.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/velocity_model.hpp"
#include "regatta/nn/warp.hpp"
#include "support/catch.hpp"
#include "unit/nn/network_checks.hpp"

namespace regatta::test {
namespace {

struct Case {
  const char* model;
  Json options;
};

Json with(Json options, const char* key, const Json& value) {
  options[key] = value;
  return options;
}

/// Every family and every form of its output, as small as it goes.
std::vector<Case> cases() {
  const Json swin = {{"embed_dim", 4}, {"depths", {1, 1, 1, 1}}, {"heads", {1, 1, 2, 2}}, {"window", {2, 2, 2}}};
  const Json affine_swin = {
      {"embed_dim", 4}, {"depths", {1, 1, 1, 1}}, {"heads", {1, 1, 2, 2}}, {"size", {32, 64, 32}}};
  return {{"voxelmorph-1", Json::object()},
          {"voxelmorph", {{"bidirectional", true}}},
          {"voxelmorph", {{"half_resolution", true}}},
          {"voxelmorph", {{"int_steps", 0}}},
          {"voxelmorph-diff", Json::object()},
          {"voxelmorph-diff", {{"reference", true}}},
          {"voxelmorph-pairwise", {{"bidirectional", true}}},
          {"voxelmorph-pairwise", {{"regularised", "velocity"}}},
          {"voxelmorph-pairwise", {{"features", {0, 4}}, {"int_steps", 0}}},
          {"transmorph", swin},
          {"transmorph", with(swin, "shifted_grid", true)},
          {"transmorph-diff", swin},
          {"transmorph-diff", with(swin, "reference", true)},
          {"transmorph-bspl", swin},
          {"transmorph-bspl", with(swin, "reference", true)},
          {"lkunet", {{"channels", 2}, {"cascade", 2}}},
          {"lkunet", {{"channels", 2}}},
          {"lkunet", {{"channels", 2}, {"head", "half"}, {"diffeomorphic", false}}},
          {"unet", {{"channels", 2}}},
          {"unet", {{"channels", 2}, {"diffeomorphic", true}}},
          {"symnet", {{"channels", 2}}},
          {"fourier-net", {{"channels", 2}}},
          {"fourier-net", {{"channels", 2}, {"diffeomorphic", true}}},
          {"fourier-net-plus", {{"channels", 2}}},
          {"fourier-net-plus", {{"channels", 2}, {"diffeomorphic", true}}},
          {"vfa", {{"start_channels", 2}, {"matching_channels", 2}, {"max_channels", 4}}},
          {"transmorph-affine", affine_swin},
          {"lkunet-affine", {{"channels", 2}, {"size", {32, 64, 32}}}}};
}

/// Largest difference where the field points into the volume; outside, networks may differ.
double difference(const at::Tensor& volume, const at::Tensor& flow, const at::Tensor& warped) {
  const at::Tensor place = flow + identity_map(grid_of(flow), flow.options());
  at::Tensor inside = at::ones({1}, place.options().dtype(at::kBool));
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const at::Tensor along = place.select(1, axis);
    inside = inside.logical_and(along.ge(0.0)).logical_and(along.le(static_cast<double>(flow.size(axis + 2) - 1)));
  }
  REQUIRE(inside.to(at::kFloat).mean().item<double>() > 0.02);
  const at::Tensor seen = inside.unsqueeze(1).to(at::kFloat);
  return warp(volume, flow).sub(warped).mul(seen).abs().max().item<double>();
}

/// Slow waves of up to 1.5 voxels that leave no border. @param like  [1, 3, D, H, W]
at::Tensor waves(const at::Tensor& like) {
  at::Tensor velocity = at::ones_like(like).mul(1.5);
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    std::vector<std::int64_t> shape(5, 1);
    shape[static_cast<std::size_t>(axis)] = like.size(axis);
    const at::Tensor place = at::arange(like.size(axis), like.options()).div(static_cast<double>(like.size(axis) - 1));
    velocity = velocity * place.mul(std::numbers::pi).sin().view(shape);
  }
  return velocity;
}

}  // namespace

TEST_CASE("a velocity that a network regularises gives its field, and the negated one the inverse field") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = noise(32, 64, 32, 1).to(at::kFloat);
  std::set<std::string> families;
  for (const Case& row : cases()) {
    INFO(row.model << ' ' << row.options.dump());
    const auto model = make_model(row.model, row.options);
    const VelocityModel* const integrates = velocity_model(*model);
    if (integrates == nullptr) {
      continue;
    }
    families.insert(row.model);
    set_golden_weights(model->parameters());
    const ModelOutput out = model->forward(moving, golden_image(32, 64, 32, 1.0));
    CHECK(integrates->displacement_of(out.regularised, moving).equal(out.flow));
    const at::Tensor velocity = waves(out.regularised);
    const at::Tensor there = integrates->displacement_of(velocity, moving);
    const at::Tensor back = integrates->displacement_of(velocity.neg(), moving);
    CHECK(there.abs().max().item<double>() > 1.0);
    CHECK(compose(there, back).abs().mean().item<double>() < 0.02);
  }
  CHECK(families == std::set<std::string>{"fourier-net", "fourier-net-plus", "lkunet", "transmorph-bspl",
                                          "transmorph-diff", "unet", "voxelmorph", "voxelmorph-diff",
                                          "voxelmorph-pairwise"});
}

TEST_CASE("the image that a network returns is the moving one read at its field, for every network") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = noise(32, 64, 32, 1).to(at::kFloat);
  const at::Tensor fixed = golden_image(32, 64, 32, 1.0);
  std::set<std::string> families;
  for (const Case& row : cases()) {
    INFO(row.model << ' ' << row.options.dump());
    const auto model = make_model(row.model, row.options);
    set_golden_weights(model->parameters());
    const ModelOutput out = model->forward(moving, fixed);
    CHECK(difference(moving, out.flow, out.warped) < 2e-4);
    if (out.inverse_flow.defined()) {
      CHECK(difference(fixed, out.inverse_flow, out.inverse_warped) < 2e-4);
    }
    families.insert(row.model);
  }
  for (const ModelRow& row : model_rows()) {  // sizes by name are the same program
    const std::string name = row.name;
    const bool is_size = name.starts_with("voxelmorph-") || name.starts_with("transmorph-");
    CHECK((is_size || families.contains(name)));
  }
}

TEST_CASE("a shifted grid's field holds the shift: half a voxel outwards at the faces, none in the middle") {
  const at::NoGradGuard no_grad;
  const at::Tensor moving = noise(5, 9, 7, 2).to(at::kFloat);
  const at::Tensor flow = noise(5, 9, 7, 3).to(at::kFloat).sub(0.5).mul(3.0).expand({1, 3, 5, 9, 7}).contiguous();
  const at::Tensor followed = models::follow_shifted_grid(flow);
  CHECK(warp(moving, followed).sub(warp(moving, flow, {.shifted_grid = true})).abs().max().item<double>() < 1e-5);
  const at::Tensor still = models::follow_shifted_grid(flow.mul(0.0));
  CHECK(still[0][0][0][4][3].item<double>() == Approx(-0.5));
  CHECK(still[0][0][2][4][3].item<double>() == Approx(0.0).margin(1e-6));
  CHECK(still[0][1][4][8][3].item<double>() == Approx(0.5));
}

}  // namespace regatta::test
