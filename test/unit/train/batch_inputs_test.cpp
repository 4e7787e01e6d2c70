// What captured steps read: one kind for lists of key-points of any length, and the same loss as without padding.
#include "train/batch_inputs.hpp"

#include <cstring>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>

#include "regatta/nn/loss.hpp"
#include "regatta/train/dataset.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

void write_(const at::Tensor& numbers, const StepNumbers& values) {
  std::memcpy(numbers.mutable_data_ptr(), &values, sizeof(values));
}

/// Value and gradient of the loss for a made-up field.
std::pair<double, at::Tensor> keypoint_loss(PairState pair, Side side) {
  ModelOutput output;
  output.flow = at::zeros({1, 3, 8, 6, 5}).set_requires_grad(true);
  output.inverse_flow = output.flow;
  pair = with_output(pair, output, side);
  const at::Tensor value = make_loss("keypoint", Json::object())->value(pair);
  value.backward();
  return {value.item<double>(), output.flow.grad()};
}

PairState pair_of_points(std::int64_t count) {
  PairState pair;
  pair.fixed = at::rand({1, 1, 8, 6, 5});
  pair.moving = at::rand({1, 1, 8, 6, 5});
  pair.most_keypoints = 9;
  pair.fixed_keypoints = at::rand({count, 3}) * 4.0;
  pair.moving_keypoints = at::rand({count, 3}) * 4.0;
  pair.moving_axes_mm = axes_of_spacing({1.5, 0.5, 1.0 + static_cast<double>(count)});
  pair.fixed_axes_mm = axes_of_spacing({3.0, 1.0, 0.25 * static_cast<double>(count)});
  return pair;
}

}  // namespace

TEST_CASE("batches with key-points of any number are one kind, and each gives its own loss") {
  const at::Tensor numbers = at::empty({kStepNumbers}, at::dtype(at::kDouble));
  const PairState first = pair_of_points(3);
  BatchInputs inputs(first, numbers);
  CHECK(inputs.batch().fixed_keypoints.sizes() == at::IntArrayRef({9, 3}));
  for (const std::int64_t count : {3, 9, 1, 5}) {  // after the longest, its points are still there
    INFO(count);
    const PairState batch = pair_of_points(count);
    CHECK(kind_of(batch) == kind_of(first));
    inputs.take_(batch);
    write_(numbers, numbers_of(batch, 1e-3, 7));
    CHECK(inputs.batch().fixed.equal(batch.fixed));
    for (const Side side : {Side::kForward, Side::kBackward}) {
      const auto [value, gradient] = keypoint_loss(batch, side);
      const auto [padded_value, padded_gradient] = keypoint_loss(inputs.batch(), side);
      CHECK(padded_value == Approx(value).epsilon(1e-6));
      CHECK((padded_gradient - gradient).abs().max().item<double>() <= 1e-6 * gradient.abs().max().item<double>());
    }
  }
  CHECK(numbers[0].item<double>() == 1e-3);
  CHECK(numbers[1].item<double>() == 7.0);
}

TEST_CASE("batches without key-points, without labels or of another size are kinds of their own") {
  const PairState whole = pair_of_points(3);
  PairState other = whole;
  other.fixed_keypoints.reset();
  other.moving_keypoints.reset();
  CHECK(kind_of(other) != kind_of(whole));
  other = whole;
  other.fixed_labels = at::zeros({1, 1, 8, 6, 5}, at::dtype(at::kByte));
  CHECK(kind_of(other) != kind_of(whole));
  other = whole;
  other.moving = at::rand({2, 1, 8, 6, 5});
  CHECK(kind_of(other) != kind_of(whole));
}

TEST_CASE("a data set knows the longest list of its pairs, streamed or not") {
  const test::TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_scene_of_own_keypoints(folder.path()));
  for (const std::int64_t held : {0, 2}) {
    const Dataset data = Dataset::load(archive, {{"train", "val"}, "", ""}, at::kCPU, held);
    CHECK(data.gather({data.pairs("train").at(0)}).most_keypoints == 2);
    CHECK(data.gather({data.pairs("val").at(0)}).fixed_keypoints.size(0) == 2);
  }
}

}  // namespace regatta
