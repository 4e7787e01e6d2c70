// Weights of the authors on real scans: the pretrained LKU-Net registers the VoxelMorph scan onto the OASIS brain as
// its own code does. The weights come through tools/pth_to_safetensors.py; the path is in REGATTA_LKUNET_WEIGHTS.
#include <cstdlib>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/zeros_like.h>

#include <nlohmann/json.hpp>

#include "nn/local_correlation.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/model.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/volume/volume.hpp"
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

}  // namespace

TEST_CASE("pretrained LKU-Net, T to A: the golden velocity, similarity and folding of models.md 10.2") {
  const char* weights = std::getenv("REGATTA_LKUNET_WEIGHTS");
  const auto brain = real_data_folder() / "oasis_brain_a.nii.gz";
  const auto scan = real_data_folder() / "voxelmorph_test_scan.npz";
  if (weights == nullptr || !std::filesystem::exists(weights)) {
    REGATTA_SKIP("lkunet_c4_ixi.pth as safetensors");
  }
  if (!std::filesystem::exists(brain) || !std::filesystem::exists(scan)) {
    REGATTA_SKIP("oasis_brain_a.nii.gz, voxelmorph_test_scan.npz");
  }
  const at::NoGradGuard no_grad;
  PairState pair;
  pair.fixed = as_tensor(read_volume(brain));
  pair.moving = as_tensor(read_volume(scan, "LIA"));
  CHECK(pair.fixed.sum(at::kDouble).item<double>() == Approx(456811.7721).epsilon(1e-6));

  const auto model = make_model("lkunet", {{"channels", 4}, {"dc10", true}});
  const SafetensorsFile file = read_safetensors(weights);
  CHECK(file.tensors.size() == 84);
  load_parameters(model->parameters(), file, weights);
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
  CHECK(local_correlation_dense(pair.fixed, pair.warped, {}).item<double>() == Approx(0.087635).epsilon(5e-5));
  CHECK(metric("ncc", pair) == Approx(0.087635).epsilon(3e-4));
  pair = with_output(pair, out);
  CHECK(metric("mse", pair) == Approx(1.930761e-3).epsilon(1e-4));
  CHECK(metric("ncc", pair) == Approx(0.177424).epsilon(3e-4));
  CHECK(metric("folding", pair) == 0.0);
}

}  // namespace regatta::test
