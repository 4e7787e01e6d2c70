// Losses with the fast backend: their names and forms, and on a GPU value and gradient of the
// reference.
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "loss_checks.hpp"
#include "nn/device/meta_kernels.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/forms.hpp"

namespace regatta::test {
namespace {

/// Fields that fold, label maps, images and masks that change from voxel to voxel; two pairs.
PairState rough_pair() {
  PairState pair;
  pair.flow = at::cat({noise_field(13, 17, 19, 6.0, 1), noise_field(13, 17, 19, 6.0, 4)});
  pair.regularised = pair.flow;
  pair.label_count = 5;
  pair.fixed_labels = at::cat({noise(13, 17, 19, 7), noise(13, 17, 19, 8)}).mul(5.0).floor().to(at::kByte);
  pair.moving_labels = at::cat({noise(13, 17, 19, 9), noise(13, 17, 19, 10)}).mul(6.0).floor().to(at::kByte);
  pair.fixed = at::cat({noise(13, 17, 19, 11), noise(13, 17, 19, 12)});
  pair.warped = at::cat({noise(13, 17, 19, 13), noise(13, 17, 19, 14)});
  pair.fixed_mask = at::cat({noise(13, 17, 19, 15), noise(13, 17, 19, 16)}).gt(0.4).to(at::kByte);
  pair.in_unit_range = true;
  return pair;
}

struct Result {
  double value = 0.0;
  at::Tensor gradient;
};

Result result_of(const std::string& loss, const Json& options, PairState pair, Backend backend) {
  pair.backend = backend;
  pair.flow = pair.flow.clone().set_requires_grad(true);
  pair.regularised = pair.flow;
  pair.warped = pair.warped.clone().set_requires_grad(true);
  const at::Tensor value = make_loss(loss, options)->value(pair);
  value.mul(0.7).backward();
  const at::Tensor& gradient = pair.warped.grad().defined() ? pair.warped.grad() : pair.flow.grad();
  return {value.item<double>(), gradient.cpu().to(at::kDouble)};
}

/// What a loss is taken of.
struct Taken {
  Backend backend = Backend::kFast;
  std::int64_t label_count = 0;
  at::ScalarType type = at::kFloat;
  Json options = Json::object();
  bool fixed_asks = false;  ///< for a derivative
  std::int64_t points = 7;
};

/// The loss as a part of its own, without data. @return "NAME: FORM"
std::string form_of(const std::string& loss, const Taken& taken) {
  use_meta_kernels();
  const auto on_meta = at::TensorOptions().device(at::kMeta);
  PairState pair;
  pair.backend = taken.backend;
  pair.flow = at::zeros({1, 3, 16, 20, 24}, on_meta.dtype(taken.type)).set_requires_grad(true);
  pair.regularised = pair.flow;
  pair.label_count = taken.label_count;
  pair.fixed = at::zeros({1, 1, 16, 20, 24}, on_meta.dtype(taken.type)).set_requires_grad(taken.fixed_asks);
  pair.warped = at::zeros({1, 1, 16, 20, 24}, on_meta.dtype(taken.type)).set_requires_grad(true);
  pair.fixed_mask = at::zeros({1, 1, 16, 20, 24}, on_meta.dtype(at::kByte));
  pair.fixed_keypoints = at::zeros({taken.points, 3}, on_meta.dtype(at::kFloat));
  pair.moving_keypoints = pair.fixed_keypoints;
  pair.fixed_labels = at::zeros({1, 1, 16, 20, 24}, on_meta.dtype(at::kByte));
  pair.moving_labels = pair.fixed_labels;
  const FormRecord record;
  {
    const StepPart part(Form::kReference, loss.c_str());
    make_loss(loss, taken.options)->value(pair).backward();
  }
  REQUIRE(record.parts().size() == 1);
  const at::Tensor& asks = pair.flow.grad().defined() ? pair.flow : pair.warped;
  CHECK(asks.grad().sizes() == asks.sizes());
  CHECK((!taken.fixed_asks || pair.fixed.grad().sizes() == pair.fixed.sizes()));
  return record.parts()[0].name + (record.parts()[0].form == Form::kKernel ? ": kernel" : ": reference");
}

}  // namespace

TEST_CASE("losses of labels, points and fields run by kernels in a fast step, up to 255 labels") {
  CHECK(form_of("dice", {.label_count = 255}) == "Dice: kernel");
  CHECK(form_of("dice", {.label_count = 256}) == "Dice of more than 255 labels: reference");
  CHECK(form_of("jacobian", {}) == "folding: kernel");
  CHECK(form_of("bending", {}) == "bending energy: kernel");
  CHECK(form_of("grad", {}) == "diffusion: kernel");
  CHECK(form_of("grad", {.options = {{"units", "lku"}}}) == "diffusion in LKU units: kernel");
  CHECK(form_of("keypoint", {.points = 16384}) == "key-points: kernel");
  CHECK(form_of("keypoint", {.points = 16385}) == "key-points: reference");
  for (const char* loss : {"jacobian", "bending", "grad", "keypoint"}) {
    CHECK(form_of(loss, {.type = at::kDouble}).ends_with(": reference"));
    CHECK(form_of(loss, {.backend = Backend::kReference}).ends_with(": reference"));
  }
}

TEST_CASE("losses of images run by kernels in a fast step, and say why where not") {
  const Json masked = {{"masked", true}};
  for (const char* loss : {"mse", "mae"}) {
    const std::string name = loss == std::string("mse") ? "MSE" : "MAE";
    CHECK(form_of(loss, {}) == name + ": kernel");
    CHECK(form_of(loss, {.fixed_asks = true}) == name + ": kernel");
    CHECK(form_of(loss, {.options = masked}) == name + " with masks: kernel");
  }
  CHECK(form_of("mi", {}) == "mutual information: kernel");
  CHECK(form_of("mi", {.fixed_asks = true}) == "mutual information: kernel");
  CHECK(form_of("mi", {.options = {{"bins", 33}}}) == "mutual information of more than 32 bins: reference");
  CHECK(form_of("lmi", {}) == "local mutual information: kernel");
  CHECK(form_of("lmi", {.options = {{"patch", 17}}}) == "local mutual information with these bins or cubes: reference");
  CHECK(form_of("lmi", {.fixed_asks = true}) == "local mutual information with gradients to both images: reference");
  CHECK(form_of("ssim", {}) == "SSIM: kernel");
  CHECK(form_of("ssim", {.fixed_asks = true}) == "SSIM with gradients to both images: reference");
  CHECK(form_of("mind", {}) == "MIND: kernel");
  CHECK(form_of("mind", {.options = {{"radius", 3}}}) == "MIND with this radius: reference");
  CHECK(form_of("mind", {.fixed_asks = true}) == "MIND with gradients to both images: reference");
  for (const char* loss : {"mse", "mae", "mi", "lmi", "ssim", "mind"}) {
    CHECK(form_of(loss, {.backend = Backend::kReference}).ends_with(": reference"));
    CHECK(form_of(loss, {.type = at::kDouble}).ends_with(": reference"));
  }
}

TEST_CASE("on a GPU fast forms of losses have the reference's values and gradients", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!device.is_cuda() || !kernels::built()) {
    REGATTA_SKIP(device.is_cuda() ? kernels::build_text() : "no GPU");
  }
  const PairState pair = rough_pair();
  PairState on_device = pair;
  on_device.flow = pair.flow.to(device, at::kFloat);
  for (at::Tensor PairState::*image : {&PairState::fixed, &PairState::warped}) {
    on_device.*image = (pair.*image).to(device, at::kFloat);
  }
  on_device.fixed_mask = pair.fixed_mask.to(device);
  on_device.fixed_labels = pair.fixed_labels.to(device);
  on_device.moving_labels = pair.moving_labels.to(device);
  const std::vector<std::pair<std::string, Json>> losses = {
      {"dice", {{"denominator", "squares"}}},
      {"dice", {{"denominator", "sums"}}},
      {"dice", {{"denominator", "squares"}, {"background", false}}},
      {"jacobian", Json::object()},
      {"bending", Json::object()},
      {"grad", {{"units", "lku"}}},
      {"grad", {{"units", "lku"}, {"penalty", "l1"}}},
      {"ncc", {{"masked", true}, {"window", 5}}},
      {"mse", Json::object()},
      {"mse", {{"masked", true}}},
      {"mae", Json::object()},
      {"mae", {{"masked", true}}},
      {"mi", Json::object()},
      {"mi", {{"bins", 20}, {"sigma_ratio", 0.42}}},
      {"lmi", Json::object()},
      {"ssim", Json::object()},
      {"mind", Json::object()},
      {"mind", {{"radius", 1}, {"dilation", 3}}}};
  for (const auto& [loss, options] : losses) {
    INFO(loss << " " << options.dump());
    const Result reference = result_of(loss, options, pair, Backend::kReference);
    const Result fast = result_of(loss, options, on_device, Backend::kFast);
    CHECK(fast.value == Approx(reference.value).epsilon(1e-5));
    CHECK(relative_difference(fast.gradient, reference.gradient) < (loss == "mind" || loss == "ssim" ? 1e-3 : 1e-4));
  }
}

TEST_CASE("on a GPU the fast form of key-points has the reference's value and gradient", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!device.is_cuda() || !kernels::built()) {
    REGATTA_SKIP(device.is_cuda() ? kernels::build_text() : "no GPU");
  }
  PairState pair = rough_pair();
  pair.flow = pair.flow.narrow(0, 0, 1);
  pair.fixed_keypoints = at::cat({noise(1, 40, 3, 1), noise(1, 40, 3, 2)}, 3).view({80, 3}).mul(17.0).sub(1.0);
  pair.moving_keypoints = noise(1, 80, 3, 3).view({80, 3}).mul(16.0);
  pair.moving_axes_mm = {0.0, 1.5, 0.1, 2.0, 0.0, 0.0, 0.0, 0.2, -1.0};
  for (const bool counted : {false, true}) {
    if (counted) {
      pair.keypoint_count = at::zeros({}, at::kDouble).fill_(33.0);
      pair.moving_axes = at::zeros({3, 3}, at::kDouble).fill_(0.3).fill_diagonal_(1.5);
    }
    PairState on_device = pair;
    for (at::Tensor PairState::*of : {&PairState::flow, &PairState::fixed_keypoints, &PairState::moving_keypoints}) {
      on_device.*of = (pair.*of).to(device, at::kFloat);
    }
    if (counted) {
      on_device.keypoint_count = pair.keypoint_count.to(device);
      on_device.moving_axes = pair.moving_axes.to(device);
    }
    for (const bool squared : {false, true}) {
      const Json options = {{"squared", squared}};
      const Result reference = result_of("keypoint", options, pair, Backend::kReference);
      const Result fast = result_of("keypoint", options, on_device, Backend::kFast);
      CHECK(fast.value == Approx(reference.value).epsilon(1e-5));
      CHECK(relative_difference(fast.gradient, reference.gradient) < 1e-5);
    }
  }
}

}  // namespace regatta::test
