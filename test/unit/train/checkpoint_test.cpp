// The writer's thread: publication, rotation, failures, retries.
#include <cmath>
#include <filesystem>
#include <limits>

#include <ATen/ops/full.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/train/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

Snapshot snapshot_at(std::int64_t step, double value = 1.0) {
  Snapshot snapshot;
  snapshot.counters.step = step;
  snapshot.tensors = {{"w", at::full({3, 2}, value)}};
  snapshot.metadata = {
      {kFormatKey, kCheckpointFormat}, {"counters", dump_line(to_json(snapshot.counters))}, {"recipe_hash", "abc"}};
  return snapshot;
}

std::vector<std::int64_t> steps_of(const TrialFiles& files) {
  std::vector<std::int64_t> steps;
  for (const CheckpointFile& file : list_checkpoints(files)) {
    steps.push_back(file.step);
  }
  return steps;
}

void save(CheckpointWriter& writer, std::int64_t step) {
  writer.submit(snapshot_at(step));
  writer.drain();
}

int files_in(const fs::path& folder) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += entry.is_regular_file() ? 1 : 0;
  }
  return count;
}

TEST_CASE("counters survive their JSON, NaN included") {
  TrainingCounters counters;
  counters.step = 12;
  counters.best = {{"dice", 0.1 + 0.2}, {"ncc", std::numeric_limits<double>::quiet_NaN()}};
  const TrainingCounters back = counters_from_json(dump_line(to_json(counters)), "test");
  CHECK(back.step == 12);
  CHECK(back.best.at("dice") == 0.1 + 0.2);
  CHECK(std::isnan(back.best.at("ncc")));
  CHECK(std::isnan(back.best_value));
  CHECK_THROWS_AS(counters_from_json("{\"step\": 1}", "test"), DataError);
}

TEST_CASE("only the newest checkpoints stay, and an earlier attempt's go once there are enough new ones") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  {
    CheckpointWriter writer(files, 1, 2, [] {});
    for (const std::int64_t step : {5, 10, 15}) {
      save(writer, step);
    }
    CHECK(writer.take_events().size() == 3);
  }
  CHECK(steps_of(files) == std::vector<std::int64_t>{15, 10});
  CHECK(files_in(files.checkpoints(1)) == 3);  // two and the manifest
  write_file_atomically(files.checkpoints(1) / ".000000020.safetensors.tmp.h-1-0", "left by a killed save");
  CheckpointWriter writer(files, 2, 2, [] {});
  save(writer, 20);
  CHECK(steps_of(files) == std::vector<std::int64_t>{20, 15, 10});
  save(writer, 25);
  CHECK(steps_of(files) == std::vector<std::int64_t>{25, 20});
  CHECK(files_in(files.checkpoints(1)) == 0);
}

/// Saves with an anchor among the counters.
void save_with(CheckpointWriter& writer, std::int64_t step, std::int64_t anchor_step, int rollbacks = 0) {
  Snapshot snapshot = snapshot_at(step);
  snapshot.counters.anchor_step = anchor_step;
  snapshot.counters.rollbacks = rollbacks;
  snapshot.metadata["counters"] = dump_line(to_json(snapshot.counters));
  writer.submit(std::move(snapshot));
  writer.drain();
}

TEST_CASE("the anchor stays until there is a newer one, in an earlier attempt too") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  {
    CheckpointWriter writer(files, 1, 2, [] {});
    for (const std::int64_t step : {5, 10, 15, 20}) {
      save_with(writer, step, 5);
    }
  }
  CHECK(steps_of(files) == std::vector<std::int64_t>{20, 15, 5});
  CheckpointWriter writer(files, 2, 2, [] {});
  save_with(writer, 25, 5);
  save_with(writer, 30, 5);
  CHECK(steps_of(files) == std::vector<std::int64_t>{30, 25, 5});
  CHECK(load_anchor(files, "abc", 5).value().counters.step == 5);
  CHECK_FALSE(load_anchor(files, "abc", 4).has_value());
  save_with(writer, 35, 35);
  CHECK(steps_of(files) == std::vector<std::int64_t>{35, 30});
  CHECK(files_in(files.checkpoints(1)) == 0);
}

TEST_CASE("a checkpoint after a roll-back is newer than any before it") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  CheckpointWriter writer(files, 1, 3, [] {});
  save_with(writer, 10, 10);
  save_with(writer, 20, 10);
  save_with(writer, 12, 10, 1);
  CHECK(steps_of(files) == std::vector<std::int64_t>{12, 20, 10});
  CHECK(load_newest_checkpoint(files, "abc").value().counters.rollbacks == 1);
}

TEST_CASE("a checkpoint that is not finite is refused and not published") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  CheckpointWriter writer(files, 1, 2, [] {});
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    writer.submit(snapshot_at(1, bad));
    writer.drain();
    const auto events = writer.take_events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].non_finite);
    CHECK(events[0].error == "tensor 'w' is not finite");
  }
  CHECK(steps_of(files).empty());
}

TEST_CASE("a failed save is reported, changes nothing and the next one succeeds") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  bool refuse = false;
  CheckpointWriter writer(files, 1, 2, [&] { REGATTA_REQUIRE(!refuse, DataError, "disk full"); });
  save(writer, 1);
  refuse = true;
  save(writer, 2);
  refuse = false;
  CHECK(steps_of(files) == std::vector<std::int64_t>{1});
  save(writer, 3);
  const auto events = writer.take_events();
  REQUIRE(events.size() == 3);
  CHECK(events[1].error == "disk full");
  CHECK_FALSE(events[1].non_finite);
  CHECK(steps_of(files) == std::vector<std::int64_t>{3, 1});
}

TEST_CASE("best weights that could not be written are written before the next checkpoint") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  CheckpointWriter writer(files, 1, 2, [] {});
  fs::create_directories(files.best_weights());  // a folder in the file's place: rename fails
  writer.submit(BestWeights{7, {{"w", at::full({2}, 1.0)}}, {{"step", "7"}}});
  writer.drain();
  CHECK_FALSE(writer.take_events().at(0).error.empty());
  save(writer, 8);
  CHECK_FALSE(writer.take_events().at(0).error.empty());  // would name best weights that are not there
  CHECK(steps_of(files).empty());
  fs::remove(files.best_weights());
  save(writer, 9);
  CHECK(writer.take_events().at(0).error.empty());
  CHECK(read_safetensors(files.best_weights()).metadata.at("step") == "7");
  CHECK(steps_of(files) == std::vector<std::int64_t>{9});
}

TEST_CASE("a checkpoint of another recipe is refused, not set aside") {
  const test::TemporaryFolder folder;
  const TrialFiles files{folder.path()};
  {
    CheckpointWriter writer(files, 1, 2, [] {});
    save(writer, 4);
  }
  CHECK_FALSE(load_newest_checkpoint({folder / "empty"}, "abc").has_value());
  CHECK(load_newest_checkpoint(files, "abc").value().counters.step == 4);
  CHECK_THROWS_AS(load_newest_checkpoint(files, "def"), ConfigError);
  CHECK(steps_of(files) == std::vector<std::int64_t>{4});
  remove_checkpoints(files);
  CHECK_FALSE(load_newest_checkpoint(files, "abc").has_value());
}

}  // namespace
}  // namespace regatta
