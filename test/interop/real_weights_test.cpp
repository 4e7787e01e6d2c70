// Weights of the authors on real scans: the pretrained LKU-Net registers the VoxelMorph scan onto the OASIS brain as
// its own code does, and both backends register the two onto each other alike. The weights come through
// tools/pth_to_safetensors.py; the path is in REGATTA_LKUNET_WEIGHTS.
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/zeros_like.h>

#include <nlohmann/json.hpp>

#include "nn/ops/local_correlation.hpp"
#include "regatta/kernels/device.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/warp.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

at::Tensor as_tensor(const Volume& volume) {
  const Shape3& shape = volume.grid.shape;
  return at::from_blob(const_cast<float*>(volume.voxels.data()), {1, 1, shape[0], shape[1], shape[2]}, at::kFloat)
      .clone();
}

double metric(const char* name, const PairState& pair) {
  return find_metric(name).make()->measure(pair).front().second;
}

std::filesystem::path brain_file() {
  return real_data_folder() / "oasis_brain_a.nii.gz";
}
std::filesystem::path scan_file() {
  return real_data_folder() / "voxelmorph_test_scan.npz";
}

/// What a test on the real pair lacks; empty: nothing.
std::string absent_data() {
  const char* weights = std::getenv("REGATTA_LKUNET_WEIGHTS");
  if (weights == nullptr || !std::filesystem::exists(weights)) {
    return "lkunet_c4_ixi.pth as safetensors";
  }
  const bool scans = std::filesystem::exists(brain_file()) && std::filesystem::exists(scan_file());
  return scans ? "" : "oasis_brain_a.nii.gz, voxelmorph_test_scan.npz";
}

at::Tensor brain() {
  return as_tensor(read_volume(brain_file()));
}
at::Tensor scan() {
  return as_tensor(read_volume(scan_file(), "LIA"));
}

std::unique_ptr<Model> pretrained(const NetworkContext& context = {}) {
  std::unique_ptr<Model> model = make_model("lkunet", {{"channels", 4}, {"dc10", true}}, context);
  const SafetensorsFile file = read_safetensors(std::getenv("REGATTA_LKUNET_WEIGHTS"));
  CHECK(file.tensors.size() == 84);
  load_parameters(model->parameters(), file, "lkunet_c4_ixi.pth");
  return model;
}

/// Three classes of the brain by brightness, 0 is the background: labels of the same kind for both scans.
at::Tensor brightness_classes(const at::Tensor& image) {
  return ((image > 0.05).to(at::kByte) + (image > 0.3).to(at::kByte) + (image > 0.5).to(at::kByte)).to(at::kByte);
}

double mean_dice(const at::Tensor& fixed, const at::Tensor& moving, const at::Tensor& flow) {
  PairState pair;
  pair.fixed_labels = fixed.cpu();
  pair.moving_labels = moving.cpu();
  pair.flow = flow.cpu();
  return metric("dice", pair);
}

}  // namespace

TEST_CASE("pretrained LKU-Net, T to A: the golden velocity, similarity and folding of models.md 10.2") {
  if (!absent_data().empty()) {
    REGATTA_SKIP(absent_data());
  }
  const at::NoGradGuard no_grad;
  PairState pair;
  pair.fixed = brain();
  pair.moving = scan();
  CHECK(pair.fixed.sum(at::kDouble).item<double>() == Approx(456811.7721).epsilon(1e-6));

  const auto model = pretrained();
  const ModelOutput out = model->forward(pair.moving, pair.fixed);

  at::Tensor velocity = out.regularised.clone();
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    velocity.select(1, axis).mul_(2.0 / static_cast<double>(velocity.size(axis + 2) - 1));
  }
  CHECK(velocity.abs().mean(at::kDouble).item<double>() == Approx(9.948171e-3).epsilon(1e-4));
  CHECK(velocity[0][0][80][96][112].item<double>() == Approx(0.00621978).epsilon(1e-3));
  CHECK(velocity[0][1][80][96][112].item<double>() == Approx(-0.00693318).epsilon(1e-3));
  CHECK(velocity[0][2][80][96][112].item<double>() == Approx(0.02792908).epsilon(1e-3));
  pair.warped = pair.moving;
  CHECK(metric("mse", pair) == Approx(4.029010e-3).epsilon(1e-4));
  // The golden numbers come from the authors' sums in single precision; ours, in double, differ by 1.7e-4.
  CHECK(local_correlation_reference(pair.fixed, pair.warped, {}).item<double>() == Approx(0.087635).epsilon(5e-5));
  CHECK(metric("ncc", pair) == Approx(0.087635).epsilon(3e-4));
  pair = with_output(pair, out);
  CHECK(metric("mse", pair) == Approx(1.930761e-3).epsilon(1e-4));
  CHECK(metric("ncc", pair) == Approx(0.177424).epsilon(3e-4));
  CHECK(metric("folding", pair) == 0.0);
}

TEST_CASE("pretrained LKU-Net on a GPU, both ways by both backends: fields within 1.5 %, Dice within .002", "[gpu]") {
  if (!absent_data().empty()) {
    REGATTA_SKIP(absent_data());
  }
  const c10::Device device = choose_device("auto");
  if (!device.is_cuda() || !kernels::built()) {
    REGATTA_SKIP(!device.is_cuda() ? "no GPU" : kernels::build_text());
  }
  set_deterministic(false);
  const at::NoGradGuard no_grad;
  LabelVolume anatomy = read_label_volume(scan_file(), "LIA");
  const std::array<at::Tensor, 2> images = {brain().to(device), scan().to(device)};
  for (const bool onto_brain : {true, false}) {
    const at::Tensor& fixed = images[onto_brain ? 0 : 1];
    const at::Tensor& moving = images[onto_brain ? 1 : 0];
    std::array<at::Tensor, 2> flows;
    std::array<double, 2> dice{};
    for (const Backend backend : {Backend::kReference, Backend::kFast}) {
      const auto model = pretrained({.backend = backend, .channels_last = true});
      model->parameters().to_device(device);
      const auto index = static_cast<std::size_t>(backend == Backend::kFast);
      flows[index] = model->forward(moving, fixed).flow;
      dice[index] = mean_dice(brightness_classes(fixed), brightness_classes(moving), flows[index]);
    }
    const double field = ((flows[1] - flows[0]).norm() / flows[0].norm()).item<double>();
    std::cout << (onto_brain ? "scan onto brain" : "brain onto scan") << ": fields differ by " << field
              << ", Dice of brightness classes " << dice[0] << " by reference, " << dice[1] << " fast" << std::endl;
    CHECK(field <= 0.015);
    CHECK(std::abs(dice[1] - dice[0]) <= 0.002);
    if (onto_brain) {
      const at::Tensor labels = at::from_blob(anatomy.labels.data(), moving.sizes(), at::kInt).to(at::kByte);
      const double same = mean_dice(warp_labels(labels, flows[0].cpu()), labels, flows[1]);
      std::cout << "anatomical labels warped by either: Dice " << same << std::endl;
      CHECK(same >= 0.98);
    }
  }
}

}  // namespace regatta::test
