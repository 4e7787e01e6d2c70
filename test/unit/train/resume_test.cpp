// Resuming: whatever ended an attempt, the next one ends with the bytes of an undisturbed training.
#include <csignal>
#include <filesystem>

#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/nn/weights.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "train/run_record.hpp"
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

/// Everything but the times of a run's history.
std::vector<std::string> history_of(const fs::path& folder) {
  std::vector<std::string> lines;
  for (MetricLine line : read_metric_lines({folder})) {
    line.ms_per_step = 0.0;
    lines.push_back(metric_line_text(line));
  }
  return lines;
}

void check_same(const fs::path& run, const fs::path& undisturbed) {
  CHECK(newest_checkpoint_bytes(run) == newest_checkpoint_bytes(undisturbed));
  CHECK(bytes_of(run / "best.safetensors") == bytes_of(undisturbed / "best.safetensors"));
  CHECK(history_of(run) == history_of(undisturbed));
}

TEST_CASE("a training that left at step 5 ends with the bytes of one that did not") {
  const std::string optimiser = GENERATE(as<std::string>(), "adam", "adamw", "adamax");
  INFO(optimiser);
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.optim.name = optimiser;
  recipe.optim.amsgrad = optimiser == "adam";
  REQUIRE(train_in(folder / "whole", recipe).status == AttemptStatus::kOk);
  Recorder first;
  first.leave = [&] { return !first.checkpoints.empty() && first.checkpoints.back().step >= 4; };
  const TrainOutcome left = train_in(folder / "parts", recipe, first);
  REQUIRE(left.status == AttemptStatus::kPaused);
  CHECK(left.step > 0);
  CHECK(left.step < 12);
  Recorder second;
  const TrainOutcome ended = train_in(folder / "parts", recipe, second);
  REQUIRE(ended.status == AttemptStatus::kOk);
  CHECK(second.start.step == left.step);
  CHECK(second.start.parts == "reference");
  CHECK(second.start.resume == "bitwise");
  CHECK(ended.result->provenance.parts == "reference");
  CHECK(ended.result->attempts == 2);
  check_same(folder / "parts", folder / "whole");
}

TEST_CASE("a resume is called bitwise only where the training is, nothing differs and no earlier resume was not") {
  ResolvedRecipe resolved;
  resolved.numerical_on_cuda = true;  // LKU-Net diff, SYMNet ...
  const c10::Device gpu(c10::kCUDA, 0);
  const c10::Device cpu(c10::kCPU);
  CHECK(determinism_of(resolved, gpu) == "numerical");
  CHECK(resume_kind(determinism_of(resolved, gpu), "none", "") == "numerical");
  CHECK(resume_kind(determinism_of(resolved, cpu), "none", "") == "bitwise");
  resolved.numerical_on_cuda = false;
  CHECK(resume_kind(determinism_of(resolved, gpu), "bitwise", "") == "bitwise");
  CHECK(resume_kind(determinism_of(resolved, gpu), "bitwise", "/driver: 1 -> 2") == "numerical");
  CHECK(resume_kind(determinism_of(resolved, gpu), "numerical", "") == "numerical");
}

TEST_CASE("leaving at any moment, validation included, changes no byte") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.train.steps = 4;
  recipe.checkpoint.every_steps = 0;
  REQUIRE(train_in(folder / "whole", recipe).status == AttemptStatus::kOk);
  for (const int question : {1, 2, 4, 5, 7}) {
    const fs::path run = folder / str("leave", question);
    Recorder recorder;
    recorder.leave = leave_at(question);
    const TrainOutcome left = train_in(run, recipe, recorder);
    REQUIRE(left.status == AttemptStatus::kPaused);
    REQUIRE(train_in(run, recipe).status == AttemptStatus::kOk);
    check_same(run, folder / "whole");
  }
}

TEST_CASE("a training whose volumes take turns on the device ends with the bytes of one that holds them all") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.run.data = "resident";
  train_in(folder / "resident", recipe);
  recipe.run.data = "streamed";
  train_in(folder / "streamed", recipe);
  CHECK(history_of(folder / "streamed") == history_of(folder / "resident"));
  const auto tensors_of = [&](const char* run) {
    return read_safetensors(list_checkpoints({folder / run}).at(0).path).tensors;  // the recipes beside them differ
  };
  const auto streamed = tensors_of("streamed");
  const auto resident = tensors_of("resident");
  REQUIRE(streamed.size() == resident.size());
  for (std::size_t i = 0; i < streamed.size(); ++i) {
    INFO(streamed[i].first);
    CHECK(streamed[i].first == resident[i].first);
    CHECK(streamed[i].second.equal(resident[i].second));
  }
  const Json result = read_json(folder / "streamed" / "result.json");
  CHECK(result.at("data") == "streamed");
  CHECK(read_json(folder / "resident" / "result.json").at("data") == "resident");
}

TEST_CASE("a larger total continues a finished training with the schedule it was born with") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.optim.horizon_epochs = 4;
  REQUIRE(train_in(folder / "whole", recipe).status == AttemptStatus::kOk);
  recipe.train.steps = 6;
  REQUIRE(train_in(folder / "parts", recipe).status == AttemptStatus::kOk);
  recipe.train.steps = 12;
  recipe.optim.horizon_epochs = 0;  // as given by a user who does not know the old one
  Recorder recorder;
  REQUIRE(train_in(folder / "parts", recipe, recorder).status == AttemptStatus::kOk);
  CHECK(recorder.start.step == 6);
  CHECK(newest_checkpoint_bytes(folder / "parts").size() == newest_checkpoint_bytes(folder / "whole").size());
  const SafetensorsFile a = read_safetensors(list_checkpoints({folder / "parts"}).at(0).path);
  const SafetensorsFile b = read_safetensors(list_checkpoints({folder / "whole"}).at(0).path);
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    CHECK(a.tensors[i].second.equal(b.tensors[i].second));
  }
}

TEST_CASE("a damaged newest checkpoint is set aside and the one before it is taken") {
  const TemporaryFolder folder;
  const Recipe recipe = scene_recipe(write_scene(folder.path()));
  REQUIRE(train_in(folder / "whole", recipe).status == AttemptStatus::kOk);
  Recorder first;
  first.leave = [&] { return !first.checkpoints.empty() && first.checkpoints.back().step >= 6; };
  REQUIRE(train_in(folder / "run", recipe, first).status == AttemptStatus::kPaused);
  const auto published = list_checkpoints({folder / "run"});
  REQUIRE(published.size() == 2);
  std::string bytes = bytes_of(published[0].path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file_atomically(published[0].path, bytes);
  Recorder second;
  REQUIRE(train_in(folder / "run", recipe, second).status == AttemptStatus::kOk);
  CHECK(second.start.step == published[1].step);
  CHECK(fs::exists(published[0].path.string() + ".bad"));
  check_same(folder / "run", folder / "whole");
}

TEST_CASE("with no checkpoint that verifies the training refuses to start from step 0") {
  const TemporaryFolder folder;
  const Recipe recipe = scene_recipe(write_scene(folder.path()));
  Recorder first;
  first.leave = [&] { return !first.checkpoints.empty(); };
  REQUIRE(train_in(folder / "run", recipe, first).status == AttemptStatus::kPaused);
  for (const CheckpointFile& checkpoint : list_checkpoints({folder / "run"})) {
    write_file_atomically(checkpoint.path, bytes_of(checkpoint.path).substr(0, 1000));
  }
  for (int again = 0; again < 2; ++again) {  // the second time, too, when the bad ones have been renamed
    try {
      train_in(folder / "run", recipe);
      FAIL("started again");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::kNoCheckpoint);
    }
  }
}

/// Trains in a child process and kills it once the predicate holds. @return true if it was killed, false if it ended
template <class Predicate>
bool killed_when(const fs::path& run, const Recipe& recipe, const Predicate& enough) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(train_in(run, recipe).status == AttemptStatus::kOk ? 0 : 1);
  }
  int status = 0;
  while (true) {
    if (enough()) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return WIFSIGNALED(status);
    }
    if (::waitpid(child, &status, WNOHANG) == child) {
      return false;
    }
    ::usleep(1000);
  }
}

TEST_CASE("a training killed again and again ends with the bytes of an undisturbed one") {
  const TemporaryFolder folder;
  Recipe recipe = scene_recipe(write_scene(folder.path()));
  recipe.train.steps = 16;
  recipe.checkpoint.every_steps = 1;
  const fs::path run = folder / "run";
  int kills = 0;
  std::int64_t reached = 0;
  for (int round = 0; round < 3; ++round) {  // before this process runs LibTorch's threads itself
    const bool killed = killed_when(run, recipe, [&] {
      const auto published = list_checkpoints({run});
      return !published.empty() && published[0].step >= reached + 2;
    });
    kills += killed ? 1 : 0;
    const auto published = list_checkpoints({run});
    REQUIRE_FALSE(published.empty());
    CHECK(published[0].step > reached);
    reached = published[0].step;
  }
  CHECK(kills >= 2);
  Recorder recorder;
  REQUIRE(train_in(run, recipe, recorder).status == AttemptStatus::kOk);
  CHECK(recorder.start.step >= reached);
  REQUIRE(train_in(folder / "whole", recipe).status == AttemptStatus::kOk);
  check_same(run, folder / "whole");
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    CHECK(entry.path().filename().string().find(".tmp.") == std::string::npos);
  }
}

}  // namespace
}  // namespace regatta
