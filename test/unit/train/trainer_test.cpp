// A whole training on a tiny data set: it learns, validates, logs, and stops when numbers are not finite.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "regatta/base/files.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/pair_order.hpp"
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
  recipe.train.seed = 4;  // Dice rises by .07; by .0004 to .07 over seeds 0 to 7, while the loss falls to half for each
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

/// What steps.jsonl of an attempt says: "step 1: moving>fixed ...", and where it started.
std::vector<std::string> steps_of(const TrialFiles& files, int attempt) {
  std::vector<std::string> texts;
  for (const std::string& line : split(read_file(files.steps(attempt)), '\n')) {
    if (line.empty()) {
      continue;
    }
    const Json value = parse_json(line, "steps.jsonl");
    std::string text = str(value.at("kind").get<std::string>(), " ", value.at("step").get<int>());
    for (const Json& pair : value.value("pairs", Json::array())) {
      text += str(" ", pair.at("moving").get<std::string>(), ">", pair.at("fixed").get<std::string>());
    }
    texts.push_back(text);
  }
  return texts;
}

TEST_CASE("pairs are trained in the order of the list where the recipe says so, and the log names those of each step") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.train.order = "listed";
  recipe.train.steps = 5;
  recipe.run.log_pairs = true;
  Recorder recorder;
  recorder.leave = test::leave_at(4);
  while (train_in(folder / "run", recipe, recorder).status == AttemptStatus::kPaused) {
    recorder.leave = nullptr;
  }
  const TrialFiles files{folder / "run"};
  std::vector<std::string> seen;
  for (const int attempt : files.attempts()) {
    for (const std::string& text : steps_of(files, attempt)) {
      seen.push_back(text);
    }
  }
  const std::vector<std::string> expected = {"step 1 atlas>s1", "step 2 atlas>s2", "step 3 atlas>s3", "step 4 atlas>s1",
                                             "step 5 atlas>s2"};
  REQUIRE(seen.size() == 7);  // a line for the start of each of two attempts
  CHECK(seen.front() == "start 0");
  const auto resumed =
      std::find_if(seen.begin() + 1, seen.end(), [](const auto& text) { return text[1] == 't' && text[2] == 'a'; });
  REQUIRE(resumed != seen.end());
  seen.erase(resumed);
  seen.erase(seen.begin());
  CHECK(seen == expected);
}

TEST_CASE("mirrored pairs are logged with their axes, and nothing is written unless asked for") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.train.flip = true;
  recipe.train.steps = 3;
  REQUIRE(train_in(folder / "plain", recipe).status == AttemptStatus::kOk);
  CHECK_FALSE(std::filesystem::exists(TrialFiles{folder / "plain"}.steps(1)));
  recipe.run.log_pairs = true;
  REQUIRE(train_in(folder / "logged", recipe).status == AttemptStatus::kOk);
  const std::string text = read_file(TrialFiles{folder / "logged"}.steps(1));
  const Json first = parse_json(split(text, '\n').at(1), "steps.jsonl");
  const Flips flips = PairOrder(recipe.train.seed, 3, 1).flips_of(0, 0);
  CHECK(first.at("pairs").at(0).at("flips") == Json(flips));
  CHECK(test::bytes_of(folder / "plain" / "best.safetensors") ==
        test::bytes_of(folder / "logged" / "best.safetensors"));
}

TEST_CASE("a line of losses is the mean of as many steps as the recipe says") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.train.steps = 7;
  REQUIRE(train_in(folder / "each", recipe).status == AttemptStatus::kOk);
  recipe.run.loss_every_steps = 3;
  REQUIRE(train_in(folder / "thirds", recipe).status == AttemptStatus::kOk);
  const auto each = totals({folder / "each"});
  const auto thirds = totals({folder / "thirds"});
  REQUIRE(each.size() == 7);
  REQUIRE(thirds.size() == 3);  // of steps 1 to 3, 4 to 6, and 7, the last
  CHECK(thirds[0] == Approx((each[0] + each[1] + each[2]) / 3).epsilon(1e-6));
  CHECK(thirds[1] == Approx((each[3] + each[4] + each[5]) / 3).epsilon(1e-6));
  CHECK(thirds[2] == Approx(each[6]).epsilon(1e-6));
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
