// A whole training on a tiny data set: it learns, validates, logs, and stops when numbers are not finite.
#include <cmath>
#include <filesystem>

#include "regatta/base/files.hpp"
#include "regatta/nn/weights.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

using test::Recorder;
using test::scene_recipe;
using test::TemporaryFolder;
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

TEST_CASE("training lowers the loss and raises the validation Dice") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.losses = {{"mse", {10.0, Json::object()}}, {"grad", {0.01, Json::object()}}};
  recipe.optim.lr = 0.003;
  recipe.train.seed = 0;
  recipe.optim.schedule = "constant";
  recipe.train.steps = 120;
  recipe.checkpoint.every_steps = 0;
  recipe.train.flip = false;
  recipe.validation.every_epochs = 10;
  Recorder recorder;
  const TrainOutcome outcome = train_in(folder / "run", recipe, recorder);
  REQUIRE(outcome.status == AttemptStatus::kOk);
  const TrialResult& result = outcome.result.value();
  CHECK(result.best.at("dice") > result.initial.at("dice") + 0.03);
  CHECK(result.steps == 120);
  CHECK(result.resume == "none");
  const auto losses = totals({folder / "run"});
  REQUIRE(losses.size() == 120);
  CHECK(losses[117] + losses[118] + losses[119] < 0.7 * (losses[0] + losses[1] + losses[2]));
  CHECK(recorder.validations.size() == 5);  // at steps 0, 30, 60, 90, 120
  CHECK(recorder.validations.front().step == 0);
  CHECK(std::filesystem::exists(folder.path() / "run" / "result.json"));
}

TEST_CASE("the loss curve of the first ten steps stays what it was") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.train.steps = 10;
  REQUIRE(train_in(folder / "run", recipe).status == AttemptStatus::kOk);
  const std::vector<double> expected = {-0.698746, -0.643680, -0.667147, -0.716182, -0.690033,
                                        -0.685479, -0.736124, -0.689200, -0.661585, -0.713768};
  const auto losses = totals({folder / "run"});
  REQUIRE(losses.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(losses[i] == Approx(expected[i]).epsilon(2e-3));
  }
}

TEST_CASE("best.safetensors carries what register needs and no path of this machine") {
  const TemporaryFolder folder;
  const Recipe recipe = scene_recipe(write_scene(folder.path()));
  REQUIRE(train_in(folder / "run", recipe).status == AttemptStatus::kOk);
  const SafetensorsFile best = read_safetensors(folder.path() / "run" / "best.safetensors");
  for (const char* key : {"recipe", "recipe_hash", "preprocessing", "shape", "spacing", "orientation", "label_ids",
                          "step", "metric", "metrics", "data_fingerprint"}) {
    CHECK(best.metadata.count(key) == 1);
  }
  CHECK(best.metadata.at("shape") == "[16,32,16]");
  CHECK(best.metadata.at("label_ids") == "[0,17,53]");
  for (const auto& [key, value] : best.metadata) {
    CHECK(value.find(folder.path().string()) == std::string::npos);
  }
  CHECK(best.tensors.front().first.find("optim/") == std::string::npos);
}

TEST_CASE("a loss that is not finite ends as diverged, names the pair and leaves only finite checkpoints") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.optim.lr = 10.0;
  recipe.optim.schedule = "constant";
  recipe.optim.weight_decay = 0.0;
  recipe.losses = {{"mse", {1e6, Json::object()}}, {"grad", {1e6, Json::object()}}};
  recipe.train.steps = 400;
  const TrainOutcome outcome = train_in(folder / "run", recipe);
  REQUIRE(outcome.status == AttemptStatus::kDiverged);
  CHECK(outcome.message.find("is not finite; moving 'atlas', fixed 's") != std::string::npos);
  CHECK_FALSE(outcome.result.has_value());
  CHECK_FALSE(std::filesystem::exists(folder.path() / "run" / "result.json"));
  for (const CheckpointFile& checkpoint : list_checkpoints({folder / "run"})) {
    for (const auto& [name, tensor] : read_safetensors(checkpoint.path).tensors) {
      CHECK(std::isfinite(tensor.sum().item<double>()));
    }
  }
}

}  // namespace
}  // namespace regatta
