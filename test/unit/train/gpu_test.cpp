// Trainings on a GPU, by the fast backend: captured steps, and resumes. Skipped by name where there is none.
#include <filesystem>
#include <iostream>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/full_like.h>

#include "regatta/config/baseline.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/train/backend_choice.hpp"
#include "regatta/train/resolve.hpp"
#include "regatta/train/run_folder.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "train/benchmark_parts.hpp"
#include "train/step.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using test::Recorder;
using test::TemporaryFolder;

constexpr Shape3 kShape = {48, 64, 80};
constexpr int kSteps = 40;
constexpr int kSpoilt = 17;  ///< step whose image holds a NaN

/// The batches of 40 steps: three pairs in turn, some mirrored, one that must be skipped.
PairState batch_of(const std::vector<PairState>& pairs, int step) {
  PairState batch = pairs[static_cast<std::size_t>(step) % pairs.size()];
  if (step % 4 == 1) {
    batch.moving = batch.moving.flip({2});
    batch.fixed = batch.fixed.flip({2});
  }
  if (step == kSpoilt) {
    batch.moving = at::full_like(batch.moving, std::numeric_limits<double>::quiet_NaN());
  }
  return batch;
}

struct Trained {
  NamedTensors state;
  std::int64_t replays = 0;
  SkipReport skips;
};

/// Lists of another length and voxels of another size for each pair.
void add_keypoints_(PairState& pair, int number) {
  const at::Tensor index = at::arange(3 * (5 + 40 * number), at::device(pair.fixed.device()).dtype(at::kFloat));
  pair.fixed_keypoints = index.mul(0.7).sin().add(1.1).mul(20.0).view({-1, 3});
  pair.moving_keypoints = index.mul(0.9).cos().add(1.1).mul(20.0).view({-1, 3});
  pair.most_keypoints = 100;
  pair.moving_axes_mm = axes_of_spacing({1.0 + number, 1.0, 0.5});
}

Trained train(const Recipe& recipe, const at::Device& device, Capture capture) {
  TrainingStep step(recipe, device, Backend::kFast, capture);
  std::vector<PairState> pairs;
  for (int i = 0; i < 3; ++i) {
    PairState pair = head_pair(kShape, 3, device);
    pair.moving = pair.moving.narrow(0, i, 1).clone();
    pair.fixed = pair.fixed.narrow(0, i, 1).clone();
    if (recipe.losses.count("keypoint") > 0) {
      add_keypoints_(pair, i);
    }
    pairs.push_back(pair);
  }
  grow_field_(step.model(), pairs.front(), 1.5);
  for (int i = 0; i < kSteps; ++i) {
    step.run_(batch_of(pairs, i), 1e-4 * (1.0 + 0.05 * i), i + 1);
  }
  Trained trained;
  trained.skips = step.take_skips_();
  for (const auto& [name, tensor] : step.state()) {
    trained.state.emplace_back(name, tensor.detach().cpu().clone());
  }
  trained.replays = step.replays();
  return trained;
}

void check_equal(const Trained& a, const Trained& b) {
  REQUIRE(a.state.size() == b.state.size());
  for (std::size_t i = 0; i < a.state.size(); ++i) {
    INFO(a.state[i].first);
    CHECK(a.state[i].second.equal(b.state[i].second));
  }
}

/// Networks that are made for one size.
Json small_options(const std::string& name) {
  return name.ends_with("-affine") ? Json{{"size", {64, 96, 64}}} : Json::object();
}

/// Some steps at 64x96x64 with all that a loss may want, changing the pair each time. @return the state, flat
at::Tensor trained_state(const Recipe& recipe, const at::Device& device, Capture capture) {
  constexpr int kFew = 6;
  TrainingStep step(recipe, device, Backend::kFast, capture);
  const PairState both = head_pair({64, 96, 64}, 2, device);
  for (int i = 0; i < kFew; ++i) {
    PairState pair = both;
    pair.moving = both.moving.narrow(0, i % 2, 1);
    pair.fixed = both.fixed.narrow(0, i % 2, 1);
    pair.moving_labels = pair.moving.mul(3.0).to(at::kByte);
    pair.fixed_labels = pair.fixed.mul(3.0).to(at::kByte);
    pair.label_count = 4;
    pair.fixed_mask = pair.fixed.gt(0.0).to(at::kByte);
    pair.moving_mask = pair.moving.gt(0.0).to(at::kByte);
    add_keypoints_(pair, i % 2);
    step.run_(pair, 1e-4, i + 1);
  }
  CHECK(step.why_not_captured().empty());
  CHECK(step.replays() == (capture == Capture::kNever ? 0 : kFew - 2));
  CHECK(step.take_skips_().skipped == 0);
  std::vector<at::Tensor> flat;
  for (const auto& [name, tensor] : step.weights()) {
    flat.push_back(tensor.detach().flatten());
  }
  return at::cat(flat).cpu();
}

/// Bit for bit, or nearly where gradients are summed by atomics.
void check_captured(const std::string& what, const Recipe& recipe, const at::Device& device) {
  INFO(what);
  const bool numerical =
      make_model(recipe.model.name, recipe.model.options, {.backend = Backend::kFast})->numerical_on_cuda();
  const at::Tensor plain = trained_state(recipe, device, Capture::kNever);
  const at::Tensor captured = trained_state(recipe, device, Capture::kAllowed);
  const double apart = (captured - plain).norm().item<double>() / plain.norm().item<double>();
  std::cout << what << ": captured from uncaptured " << apart << std::endl;
  CHECK((numerical ? apart < 1e-3 : captured.equal(plain)));
}

TrainOutcome train_on_gpu(const fs::path& folder, const Recipe& recipe, Recorder& recorder) {
  RecipeResolver resolver;
  TrainSetup setup;
  setup.files = {folder};
  setup.resolved = settle_recipe(setup.files, recipe, resolver, Existing::kContinue);
  setup.attempt = next_attempt(setup.files);
  setup.device = choose_device("cuda:0");
  const Archive& archive = resolver.archive(recipe.data.archive);
  return Trainer(std::move(setup), recorder).run(archive);
}

}  // namespace

TEST_CASE("on a GPU 40 captured steps leave the bytes of uncaptured ones", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  const std::string name = GENERATE(as<std::string>(), "voxelmorph-1", "voxelmorph-2");
  INFO(name);
  const Recipe recipe = baseline_recipe(name);
  const Trained plain = train(recipe, device, Capture::kNever);
  const Trained captured = train(recipe, device, Capture::kAllowed);
  CHECK(plain.replays == 0);
  CHECK(captured.replays == kSteps - 2);
  CHECK(captured.skips.updates == std::vector<std::int64_t>{kSpoilt + 1});
  CHECK(plain.skips.updates == captured.skips.updates);
  check_equal(captured, plain);
  check_equal(train(recipe, device, Capture::kAllowed), captured);
}

TEST_CASE("on a GPU steps with key-points are captured and leave the bytes of uncaptured ones", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  Recipe recipe = baseline_recipe("voxelmorph-1");
  recipe.losses["keypoint"].weight = 0.05;
  const Trained plain = train(recipe, device, Capture::kNever);
  const Trained captured = train(recipe, device, Capture::kAllowed);
  CHECK(captured.replays == kSteps - 2);  // one graph for lists of any length
  check_equal(captured, plain);
  recipe.losses["keypoint"].weight = 0.0;
  CHECK_FALSE(train(recipe, device, Capture::kAllowed).state.front().second.equal(plain.state.front().second));
}

TEST_CASE("on a GPU branches are dropped afresh in each replay, as in uncaptured steps", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  Recipe recipe = baseline_recipe("transmorph-tiny");
  const at::Tensor captured = trained_state(recipe, device, Capture::kAllowed);
  CHECK(captured.equal(trained_state(recipe, device, Capture::kNever)));
  recipe.model.options = {{"drop_path", 0.0}};
  CHECK_FALSE(captured.equal(trained_state(recipe, device, Capture::kAllowed)));
}

TEST_CASE("on a GPU every network's steps are captured and leave what uncaptured ones do", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  for (const ModelRow& row : model_rows()) {
    const std::string name = row.name;
    if (name.find("large") == std::string::npos && name.find("huge") == std::string::npos) {
      check_captured(name, baseline_recipe(name, small_options(name)), device);
    }
  }
}

TEST_CASE("on a GPU steps with every loss are captured and leave what uncaptured ones do", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  set_deterministic(false);
  for (const LossRow& row : loss_rows()) {
    const std::string name = row.name;
    const bool two_fields = name == "magnitude" || name == "inverse_consistency";
    Recipe recipe = baseline_recipe(two_fields ? "symnet" : name == "kl" ? "voxelmorph-diff" : "voxelmorph-1");
    recipe.losses[name].weight = 0.1;
    check_captured("loss " + name, recipe, device);
  }
}

TEST_CASE("on a GPU a training that left and continued has the bytes of one that did not", "[gpu]") {
  const c10::Device device = choose_device("auto");
  if (!why_not_fast(device).empty()) {
    REGATTA_SKIP(why_not_fast(device));
  }
  const TemporaryFolder folder;
  Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
  recipe.model.name = "voxelmorph-1";
  recipe.model.options = Json::object();
  Recorder whole;
  REQUIRE(train_on_gpu(folder / "whole", recipe, whole).status == AttemptStatus::kOk);
  CHECK(whole.start.backend == "fast");
  CHECK(whole.start.parts.rfind("fast, ", 0) == 0);
  Recorder first;
  first.leave = test::leave_at(9);  // whatever was saved until then: steps may be faster than the disk
  REQUIRE(train_on_gpu(folder / "parts", recipe, first).status == AttemptStatus::kPaused);
  fs::copy(folder / "parts", folder / "other", fs::copy_options::recursive);
  Recorder second;
  const TrainOutcome ended = train_on_gpu(folder / "parts", recipe, second);
  REQUIRE(ended.status == AttemptStatus::kOk);
  CHECK(second.start.resume == "bitwise");
  CHECK(second.start.backend == "fast");
  CHECK(ended.result->provenance.backend == "fast");
  CHECK(test::newest_checkpoint_bytes(folder / "parts") == test::newest_checkpoint_bytes(folder / "whole"));
  CHECK(test::bytes_of(folder / "parts/best.safetensors") == test::bytes_of(folder / "whole/best.safetensors"));

  recipe.run.backend = "reference";  // what began on the fast backend continues by reference, and says so
  Recorder third;
  REQUIRE(train_on_gpu(folder / "other", recipe, third).status == AttemptStatus::kOk);
  CHECK(third.start.backend == "reference");
  CHECK(third.start.resume == "numerical");
}

}  // namespace regatta
