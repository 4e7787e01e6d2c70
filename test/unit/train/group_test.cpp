// Training by a group: what one process would have trained, within rounding, and the same bits each time.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "regatta/base/files.hpp"
#include "regatta/nn/batch_part.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/group_run.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "train/batch_share.hpp"
#include "train/gradient_buckets.hpp"
#include "train/objective.hpp"
#include "unit/train/group_scene.hpp"

namespace regatta {
namespace {

using test::bytes_of;
using test::GroupEnd;
using test::newest_checkpoint_bytes;
using test::scene_recipe;
using test::TemporaryFolder;
using test::train_group;
using test::train_in;
using test::write_scene;

std::vector<double> totals(const TrialFiles& files) {
  std::vector<double> values;
  for (const MetricLine& line : read_metric_lines(files)) {
    if (line.kind == MetricLine::Kind::kTrain) {
      values.push_back(line.values.at("total"));
    }
  }
  return values;
}

double most_apart(const std::vector<double>& a, const std::vector<double>& b, std::size_t from, std::size_t to) {
  double most = 0.0;
  for (std::size_t i = from; i < to; ++i) {
    most = std::max(most, std::abs(a.at(i) - b.at(i)));
  }
  return most;
}

/// Without times. Three training pairs in batches of two: every second step has one pair alone.
Recipe group_recipe(const std::filesystem::path& archive) {
  Recipe recipe = scene_recipe(archive);
  recipe.train.batch = 2;
  recipe.run.loss_every_steps = 1;
  return recipe;
}

void require_ok(const GroupEnd& end) {
  for (std::size_t member = 0; member < end.outcomes.size(); ++member) {
    INFO("member " << member << ": " << end.errors[member]);
    REQUIRE(end.errors[member].empty());
    REQUIRE(end.outcomes[member].status == AttemptStatus::kOk);
  }
  REQUIRE(end.outcomes.front().result.has_value());
}

TEST_CASE("a group trains what one process trains, also where a batch does not fill it") {
  const TemporaryFolder folder;
  Recipe recipe = group_recipe(write_scene(folder.path()));
  recipe.optim.lr = 0.001;
  recipe.train.steps = 40;  // 300 in test/faults/group.sh
  recipe.train.batch = GENERATE(2, 3);
  recipe.validation.every_epochs = 50;
  recipe.checkpoint.every_steps = 0;
  REQUIRE(train_in(folder / "one", recipe).status == AttemptStatus::kOk);
  require_ok(train_group(folder / "group", recipe, recipe.train.batch));
  const auto one = totals({folder / "one"});
  const auto group = totals({folder / "group"});
  REQUIRE(one.size() == 40);
  REQUIRE(group.size() == 40);
  INFO("first steps " << most_apart(one, group, 0, 10) << ", all " << most_apart(one, group, 0, 40));
  CHECK(most_apart(one, group, 0, 10) < 2e-6);
  CHECK(most_apart(one, group, 0, 40) < 1e-4);  // rounding grows from step to step
  CHECK(most_apart(one, group, 0, 40) > 0.0);   // it is another order of sums
}

TEST_CASE("sampled velocities are the same whoever draws them") {
  const TemporaryFolder folder;
  Recipe recipe = group_recipe(write_scene(folder.path()));
  recipe.model = {"voxelmorph-diff", "", Json::object()};
  recipe.losses = {{"mse", {1.0, Json::object()}}, {"kl", {0.01, Json::object()}}};
  recipe.train.steps = 3;
  REQUIRE(train_in(folder / "one", recipe).status == AttemptStatus::kOk);
  require_ok(train_group(folder / "group", recipe, 2));
  const auto one = totals({folder / "one"});
  const auto group = totals({folder / "group"});
  REQUIRE(one.size() == 3);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(group.at(i) == Approx(one[i]).epsilon(1e-5));
  }
}

TEST_CASE("a group repeats its bits, and continues bit for bit from a checkpoint of as many members") {
  const TemporaryFolder folder;
  const Recipe recipe = group_recipe(write_scene(folder.path()));
  require_ok(train_group(folder / "whole", recipe, 2));
  require_ok(train_group(folder / "again", recipe, 2));
  CHECK(newest_checkpoint_bytes(folder / "whole") == newest_checkpoint_bytes(folder / "again"));
  CHECK(bytes_of(folder / "whole" / "best.safetensors") == bytes_of(folder / "again" / "best.safetensors"));

  const GroupEnd left = train_group(folder / "parts", recipe, 2, test::leave_at(8));
  REQUIRE(left.errors == std::vector<std::string>(2));
  REQUIRE(left.outcomes[0].status == AttemptStatus::kPaused);
  REQUIRE(left.outcomes[1].status == AttemptStatus::kPaused);
  CHECK(left.outcomes[0].step > 0);
  CHECK(left.outcomes[0].step < 12);
  const GroupEnd ended = train_group(folder / "parts", recipe, 2);
  require_ok(ended);
  CHECK(ended.start.step == left.outcomes[0].step);
  CHECK(ended.start.resume == "bitwise");
  CHECK(ended.start.members == 2);
  CHECK(ended.outcomes[0].result->provenance.device == "2 x cpu");
  CHECK(newest_checkpoint_bytes(folder / "parts") == newest_checkpoint_bytes(folder / "whole"));
  CHECK(bytes_of(folder / "parts" / "best.safetensors") == bytes_of(folder / "whole" / "best.safetensors"));
}

TEST_CASE("another number of members continues numerically, and says so") {
  const TemporaryFolder folder;
  const Recipe recipe = group_recipe(write_scene(folder.path()));
  const GroupEnd left = train_group(folder / "run", recipe, 2, test::leave_at(8));
  REQUIRE(left.outcomes[0].status == AttemptStatus::kPaused);
  test::Recorder alone;
  REQUIRE(train_in(folder / "run", recipe, alone).status == AttemptStatus::kOk);
  CHECK(alone.start.resume == "numerical");
  CHECK(alone.start.resume_reason.find("members") != std::string::npos);
}

TEST_CASE("validation is spread over the members and has the numbers of one process") {
  const TemporaryFolder folder;
  Recipe recipe = group_recipe(write_scene(folder.path()));
  recipe.data.train_split = "val";
  recipe.data.val_split = "train";  // three pairs over two members
  recipe.train.steps = 1;
  recipe.train.batch = 2;
  recipe.train.epoch_pairs = 2;
  REQUIRE(train_in(folder / "one", recipe).status == AttemptStatus::kOk);
  require_ok(train_group(folder / "group", recipe, 2));
  const auto first_of = [&](const char* run) {
    std::vector<std::string> lines;
    for (const std::string& line : split(read_file(TrialFiles{folder / run}.pairs(1)), '\n')) {
      if (line.find("\"step\":0") != std::string::npos) {
        lines.push_back(line);
      }
    }
    return lines;
  };
  CHECK(first_of("one").size() == 4);  // the start and three pairs, before the first step: the same weights
  CHECK(first_of("one") == first_of("group"));
}

TEST_CASE("a member's pair with a NaN voxel makes all members skip the step") {
  const TemporaryFolder folder;
  Recipe recipe = group_recipe(test::write_spoilt_scene(folder.path(), 2));
  const GroupEnd end = train_group(folder / "group", recipe, 2);
  require_ok(end);
  CHECK(end.outcomes[0].result->skipped_steps == 6);  // of two steps an epoch, one has the pair
  CHECK(train_in(folder / "one", recipe).result->skipped_steps == 6);
}

TEST_CASE("members roll back together and diverge together") {
  const TemporaryFolder folder;
  Recipe recipe = group_recipe(write_scene(folder.path()));
  recipe.optim.lr = 10.0;
  recipe.optim.schedule = "constant";
  recipe.losses = {{"mse", {1e6, Json::object()}}, {"grad", {1e6, Json::object()}}};
  recipe.guard.max_skips = 3;
  recipe.guard.anchor_steps = 2;
  recipe.train.steps = 400;
  const GroupEnd end = train_group(folder / "group", recipe, 2);
  CHECK(end.errors == std::vector<std::string>(2));
  CHECK(end.outcomes[0].status == AttemptStatus::kDiverged);
  CHECK(end.outcomes[1].status == AttemptStatus::kDiverged);
  CHECK(end.outcomes[0].message == end.outcomes[1].message);
  CHECK(end.outcomes[0].step == end.outcomes[1].step);
}

TEST_CASE("a batch that is smaller than the group is refused with one line") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  const GroupEnd end = train_group(folder / "run", recipe, 2);
  const std::string refused =
      "/train/batch: 1, at least 2 expected: a batch is spread over a group of 2, a pair each or more";
  CHECK(end.errors == std::vector<std::string>(2, refused));
}

TEST_CASE("a loss that is taken of a whole batch at once is refused where a batch is spread") {
  PairState pair;
  pair.flow = at::zeros({1, 3, 4, 4, 4});
  pair.inverse_flow = at::zeros({1, 3, 4, 4, 4});
  const auto loss = make_loss("magnitude", Json::object());
  CHECK(loss->value(pair).item<float>() == 0.0F);
  const PartOfBatch part({1, 2});
  CHECK_THROWS_AS(loss->value(pair), ConfigError);
}

/// The value of an objective over each part of a batch, added up, and over the whole.
struct Sums {
  double parts = 0.0;
  double whole = 0.0;
  at::Tensor gradient_of_parts;  ///< with respect to the warped volumes
  at::Tensor gradient_of_whole;
};

Sums sums_of(const Objective& objective, const Dataset& data, const std::vector<ArchivePair>& pairs, std::size_t cut) {
  Sums sums;
  const auto value_of = [&](std::size_t begin, std::size_t end, at::Tensor& gradient) {
    BatchShare share;
    const PairState batch = data.gather_part(pairs, {}, begin, end, share);
    ModelOutput output;
    output.warped = batch.moving.mul(0.9).detach().set_requires_grad(true);
    output.flow = at::zeros({batch.moving.size(0), 3, batch.moving.size(2), batch.moving.size(3), batch.moving.size(4)})
                      .set_requires_grad(true);
    output.regularised = output.flow;
    const at::Tensor total = objective.values(batch, output, share).total;
    total.backward();
    gradient = output.warped.grad();
    return total.item<double>();
  };
  at::Tensor first;
  at::Tensor second;
  sums.parts = value_of(0, cut, first) + value_of(cut, pairs.size(), second);
  sums.gradient_of_parts = at::cat({first, second});
  sums.whole = value_of(0, pairs.size(), sums.gradient_of_whole);
  return sums;
}

TEST_CASE("masked means and means over pairs add up to those of the whole batch, whoever has the pairs") {
  const TemporaryFolder folder;
  const bool has_all =
      GENERATE(true, false);  // or: the first of three pairs has labels and an empty mask, the others none
  const Archive archive =
      Archive::open(has_all ? test::write_rich_scene(folder.path()) : test::write_partial_scene(folder.path()));
  const std::vector<std::string> splits = has_all ? archive.splits() : std::vector<std::string>{"some", "none"};
  const Dataset data = Dataset::load(archive, {splits, "", ""}, at::kCPU);
  std::vector<ArchivePair> pairs = data.pairs(splits.front());
  if (!has_all) {
    pairs.push_back(data.pairs("none").front());
  }
  pairs.resize(3);
  const std::string name = GENERATE(as<std::string>(), "mse", "mae", "ncc");
  const bool masked = GENERATE(true, false);
  INFO(name << (masked ? " with masks" : ""));
  Json options = {{"masked", masked}};
  if (name == "ncc") {
    options["window"] = 3;
  }
  const Objective objective({{name, {2.0, options}}, {"dice", {1.0, Json::object()}}});
  for (const std::size_t cut : {std::size_t{1}, std::size_t{2}}) {
    const Sums sums = sums_of(objective, data, pairs, cut);
    CHECK(sums.parts == Approx(sums.whole).epsilon(1e-5));
    CHECK((sums.gradient_of_parts - sums.gradient_of_whole).abs().max().item<double>() <
          1e-5 * sums.gradient_of_whole.abs().max().item<double>());
  }
}

TEST_CASE("labels and masks of a part are there where the whole batch has them, key-points of several pairs are not") {
  const TemporaryFolder folder;
  const Archive archive = Archive::open(test::write_partial_scene(folder.path()));
  const Dataset data = Dataset::load(archive, {{"some", "none"}, "", ""}, at::kCPU);
  std::vector<ArchivePair> pairs = data.pairs("some");  // a-b with labels and masks, a-c: c has none
  pairs.push_back(data.pairs("none").front());          // c-d: neither has any
  BatchShare share;
  const PairState first = data.gather_part(pairs, {}, 0, 1, share);
  CHECK_FALSE(first.fixed_labels.defined());
  CHECK_FALSE(first.fixed_keypoints.defined());
  REQUIRE(first.fixed_mask.defined());
  CHECK(first.fixed_mask.sum().item<std::int64_t>() == 0);
  const PairState last = data.gather_part(pairs, {}, 2, 3, share);
  REQUIRE(last.fixed_mask.defined());  // of ones
  CHECK(last.fixed_mask.sum().item<std::int64_t>() == last.fixed.numel());
  CHECK(share.of_pairs() == Approx(1.0 / 3.0));
  CHECK(share.of_fixed_mask == Approx(0.5));  // of b's mask no voxel counts, of c and d all
  const PairState alone = data.gather_part({pairs.front()}, {}, 0, 1, share);
  CHECK(alone.fixed_labels.defined());
  CHECK(alone.fixed_keypoints.defined());
  CHECK(share.is_whole());
  const PairState none = data.gather_part(pairs, {}, 3, 3, share);
  CHECK_FALSE(none.moving.defined());
  CHECK(share.of_pairs() == 0.0);
}

/// Notes how its sums are cut.
class CountingComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  std::string broadcast(std::string text) override { return text; }
  std::vector<std::string> gather(std::string text) override { return {text, text}; }
  void all_reduce_(const std::vector<at::Tensor>& tensors) override {
    std::vector<std::int64_t> sizes;
    for (const at::Tensor& tensor : tensors) {
      sizes.push_back(tensor.numel());
      tensor.mul_(2.0);
    }
    buckets.push_back(sizes);
  }

  std::vector<std::vector<std::int64_t>> buckets;
};

TEST_CASE("gradients are summed in buckets from the last parameter to the first, the losses in the last bucket") {
  using Buckets = std::vector<std::vector<std::int64_t>>;
  CountingComm comm;
  std::vector<at::Tensor> gradients;
  for (const std::int64_t size : {5, 4, 3, 2, 1}) {
    gradients.push_back(at::zeros({size}).add_(1.0));
  }
  gradients[1] = at::zeros({2, 2}).add_(1.0).t();
  const at::Tensor losses = at::zeros({2}).add_(3.0);
  sum_over_members_(comm, gradients, losses, 3);
  CHECK(comm.buckets == Buckets{{1, 2}, {3}, {4}, {5, 2}});
  CHECK(gradients[1].sum().item<float>() == 8.0F);
  CHECK(losses.sum().item<float>() == 12.0F);
  comm.buckets.clear();
  const at::Tensor flat = at::zeros({10}).add_(1.0);
  sum_flat_over_members_(comm, flat, losses, 4);
  CHECK(comm.buckets == Buckets{{4}, {4}, {2, 2}});
  CHECK(flat.sum().item<float>() == 20.0F);
}

TEST_CASE("members get a GPU each, and too few are said with what to do") {
  CHECK(gpus_of_members(2, 4).size() == 2);
  CHECK_THROWS_WITH(gpus_of_members(4, 0),
                    "--gpus 4: 0 visible on this machine; on the CPU, as many processes train together with --device "
                    "cpu");
  CHECK_THROWS_WITH(gpus_of_members(4, 2), "--gpus 4: 2 visible on this machine");
}

}  // namespace
}  // namespace regatta
