// Steps whose numbers are not finite: skipped, counted, named; rolled back from, and the same bytes after any break.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include <ATen/ops/full.h>

#include "regatta/base/files.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "train/skip_guard.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::leave_at;
using test::newest_checkpoint_bytes;
using test::Recorder;
using test::scene_recipe;
using test::TemporaryFolder;
using test::train_in;
using test::write_scene;
using test::write_spoilt_scene;

/// Lines of a kind in the attempts' metrics.jsonl.
std::vector<Json> lines_of(const fs::path& run, const std::string& kind) {
  const TrialFiles files{run};
  std::vector<Json> found;
  for (const int attempt : files.attempts()) {
    for (const std::string& text : split(read_file(files.metrics(attempt)), '\n')) {
      const Json line = text.empty() ? Json::object() : parse_json(text, "metrics");
      if (line.value("kind", "") == kind) {
        found.push_back(line);
      }
    }
  }
  return found;
}

/// Explodes after a few steps, whatever the pair: an anchor is there by then.
Recipe exploding_recipe(const fs::path& archive) {
  Recipe recipe = scene_recipe(archive);
  recipe.optim.lr = 0.2;
  recipe.optim.schedule = "constant";
  recipe.losses = {{"mse", {1.0, Json::object()}}, {"grad", {1.0, Json::object()}}};
  recipe.train.steps = 400;
  recipe.guard.max_skips = 5;
  recipe.guard.anchor_steps = 2;
  return recipe;
}

void check_finite(const fs::path& run) {
  for (const CheckpointFile& checkpoint : list_checkpoints({run})) {
    for (const auto& [name, tensor] : read_safetensors(checkpoint.path).tensors) {
      CHECK(std::isfinite(tensor.sum().item<double>()));
    }
  }
}

TEST_CASE("the guard counts skips, remembers their numbers and halts after too many in a row") {
  const at::Tensor good = at::full({}, 1.0);
  const at::Tensor bad = at::full({}, std::numeric_limits<double>::quiet_NaN());
  const at::Tensor infinite = at::full({3}, std::numeric_limits<double>::infinity());
  const at::Tensor huge = at::full({3}, -2e19);  // its square does not fit into float32
  SkipGuard guard(at::kCPU, 3);
  const auto skips = [&](const at::Tensor& loss, const at::Tensor& gradient, std::int64_t update) {
    return guard.check_(loss.to(at::kFloat), {gradient.to(at::kFloat)}, {.update = update}).item<float>() > 0.5F;
  };
  CHECK_FALSE(skips(good, good, 1));
  CHECK(skips(bad, good, 2));
  CHECK(skips(good, infinite, 3));
  CHECK_FALSE(skips(good, good, 4));
  SkipReport report = guard.take_report_();
  CHECK(report.updates == std::vector<std::int64_t>{2, 3});
  CHECK(report.in_row == 0);
  CHECK(report.halted_at == 0);
  CHECK(skips(bad, good, 5));
  CHECK(skips(good, huge, 6));
  CHECK(skips(good, bad, 7));
  CHECK(skips(good, good, 8));  // halted
  CHECK(skips(bad, good, 9));
  report = guard.take_report_();
  CHECK(report.updates == std::vector<std::int64_t>{5, 6, 7});
  CHECK(report.halted_at == 7);
  guard.set_in_row_(at::full({1}, 2.0F));
  CHECK(skips(bad, good, 10));
  CHECK(guard.take_report_().halted_at == 10);
}

TEST_CASE("steps of a pair with a NaN voxel are skipped and named; the training continues and ends") {
  const TemporaryFolder folder;
  const Recipe recipe = scene_recipe(write_spoilt_scene(folder.path(), 2));
  const TrainOutcome outcome = train_in(folder / "run", recipe);
  REQUIRE(outcome.status == AttemptStatus::kOk);
  CHECK(outcome.result->skipped_steps == 4);  // 12 steps over 3 pairs
  CHECK(outcome.result->rollbacks == 0);
  CHECK(std::isfinite(outcome.result->best.at("dice")));
  const auto skips = lines_of(folder / "run", "skip");
  REQUIRE(skips.size() == 4);
  for (const Json& line : skips) {
    CHECK(line.at("note") == "moving 'atlas', fixed 's2'");
  }
  const auto losses = read_metric_lines({folder / "run"});
  std::int64_t lines = 0;
  for (const MetricLine& line : losses) {
    lines += line.kind == MetricLine::Kind::kTrain ? 1 : 0;
    CHECK((line.kind != MetricLine::Kind::kTrain || std::isfinite(line.values.at("total"))));
  }
  CHECK(lines == 8);
  check_finite(folder / "run");
  const Json stored = read_json(folder.path() / "run" / "result.json");
  CHECK(stored.at("skipped_steps") == 4);
}

TEST_CASE("an atlas with a NaN voxel diverges after the skips, without a checkpoint to go back to") {
  const TemporaryFolder folder;
  const Recipe recipe = scene_recipe(write_spoilt_scene(folder.path(), 0));
  const TrainOutcome outcome = train_in(folder / "run", recipe);
  REQUIRE(outcome.status == AttemptStatus::kDiverged);
  CHECK(outcome.step == 1);
  CHECK_THAT(outcome.message, Catch::StartsWith("loss or gradient is not finite; moving 'atlas', fixed 's") &&
                                  Catch::Contains("10 steps in a row skipped, 0 of 1 roll-backs made (no checkpoint"));
}

TEST_CASE("a learning rate that explodes is rolled back once, then the training has diverged") {
  const TemporaryFolder folder;
  const Recipe recipe = exploding_recipe(write_scene(folder.path()));
  const TrainOutcome outcome = train_in(folder / "run", recipe);
  REQUIRE(outcome.status == AttemptStatus::kDiverged);
  CHECK_THAT(outcome.message, Catch::Contains("is not finite; moving 'atlas', fixed 's") &&
                                  Catch::Contains("learning rate 0.1;") &&
                                  Catch::Contains("5 steps in a row skipped, 1 of 1 roll-backs made"));
  CHECK_FALSE(outcome.result.has_value());
  const auto backs = lines_of(folder / "run", "rollback");
  REQUIRE(backs.size() == 1);
  CHECK(backs[0].at("step").get<int>() % 2 == 0);
  CHECK(backs[0].at("step").get<int>() > 0);
  check_finite(folder / "run");
}

/// Everything but the times of a run's history.
std::vector<std::string> history_of(const fs::path& run) {
  std::vector<std::string> lines;
  for (MetricLine line : read_metric_lines({run})) {
    line.ms_per_step = 0.0;
    lines.push_back(metric_line_text(line));
  }
  return lines;
}

TEST_CASE("breaks before, between and after skips and a roll-back change no byte") {
  const TemporaryFolder folder;
  Recipe recipe = exploding_recipe(write_scene(folder.path()));
  recipe.guard.lr_factor = 1e-6;  // back to a rate that works
  recipe.train.steps = 30;
  const TrainOutcome whole = train_in(folder / "whole", recipe);
  REQUIRE(whole.status == AttemptStatus::kOk);
  CHECK(whole.result->rollbacks == 1);
  CHECK(whole.result->lr_factor == 1e-6);
  CHECK(whole.result->skipped_steps >= 5);
  const std::int64_t back_to = lines_of(folder / "whole", "rollback").at(0).at("step");
  const std::int64_t first_skip = lines_of(folder / "whole", "skip").at(0).at("step");
  INFO("back to step " << back_to << ", first skip at " << first_skip);
  std::int64_t broken_inside = 0;
  for (std::int64_t question = 2; question < first_skip + 14; question += 5) {
    const fs::path run = folder / str("leave", question);
    Recorder recorder;
    recorder.leave = leave_at(static_cast<int>(question));
    const TrainOutcome left = train_in(run, recipe, recorder);
    REQUIRE(left.status == AttemptStatus::kPaused);
    broken_inside += left.step >= first_skip ? 1 : 0;
    const TrainOutcome ended = train_in(run, recipe);
    REQUIRE(ended.status == AttemptStatus::kOk);
    INFO("left at " << left.step);
    CHECK(newest_checkpoint_bytes(run) == newest_checkpoint_bytes(folder / "whole"));
    CHECK(bytes_of(run / "best.safetensors") == bytes_of(folder / "whole" / "best.safetensors"));
    CHECK(history_of(run) == history_of(folder / "whole"));
    CHECK(ended.result->skipped_steps == whole.result->skipped_steps);
    fs::remove_all(run);
  }
  CHECK(broken_inside > 0);
}

}  // namespace
}  // namespace regatta
