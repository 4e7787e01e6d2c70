#include "regatta/sweep/steer.hpp"

#include <chrono>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/state.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// A sweep of six trials: 0 ok, 1 diverged, 2 quarantined after three crashes, 3 running in a Slurm job, 4 and 5 new.
struct Scene {
  Scene() : writer(made_journal(), {"cluster", "77", 0, true, ""}) {
    ProcessIdentity elsewhere = this_process();
    elsewhere.host = "node3";
    Owner owner{elsewhere, {"cluster", "77", 0, true, ""}, writer.shard()};
    writer.append("join", join_fields(owner, 4));
    end_trial(0, 1, "ok", 10);
    end_trial(1, 1, "diverged", 10);
    for (int attempt = 1; attempt <= 3; ++attempt) {
      end_trial(2, attempt, "signal", 0);
    }
    start(3, 1, "");
    writer.commit();
  }

  void start(int trial, int attempt, const std::string& seen) {
    writer.append("start", {{"trial", trial},
                            {"attempt", attempt},
                            {"rank", 0},
                            {"host", "node3"},
                            {"seen", seen},
                            {"recipe_hash", "x"},
                            {"resume_step", 0}});
  }

  void end_trial(int trial, int attempt, const std::string& status, int step) {
    start(trial, attempt, attempt == 1 ? "" : status);
    Json fields = {{"trial", trial}, {"attempt", attempt}, {"status", status}, {"step", step}, {"message", "m"}};
    if (status == "ok") {
      fields["result"] = to_json(TrialResult{});
    }
    writer.append("end", fields);
  }

  std::filesystem::path made_journal() {
    test::FakeDescriber describer;
    create_or_open(files, define_sweep(test::small_job(), describer));
    return files.journal();
  }

  SweepState state() const {
    SweepState folded(rules_of(read_definition(files)));
    JournalReader reader(files.journal());
    folded.apply(reader.poll());
    return folded;
  }

  test::TemporaryFolder folder;
  SweepFiles files{folder / "sweep"};
  JournalWriter writer;
};

TEST_CASE("a stop order names the writers that have not left and all Slurm jobs that were ever seen") {
  Scene scene;
  scene.writer.append("submit", {{"cluster", "cluster"}, {"jobs", {"80", "81"}}});
  scene.writer.commit();
  const StopOrder order = order_stop(scene.files, false);
  CHECK(order.running == std::vector<std::string>{"job 77 on node3"});
  CHECK(order.jobs == std::vector<std::string>{"cluster/77", "cluster/80", "cluster/81"});
  const SweepState state = scene.state();
  const Owner& owner = state.owners().at(scene.writer.shard());
  CHECK(state.stop_request(owner) == StopRequest::kSave);
  CHECK(state.stop_request({{}, {"cluster", "80", 2, true, ""}, "later"}) == StopRequest::kSave);
  CHECK(state.stop_request({{}, {"cluster", "95", 0, true, "81"}, "element"}) == StopRequest::kSave);
  CHECK(state.stop_request({{}, {"cluster", "82", 0, true, ""}, "new"}) == StopRequest::kNone);
  CHECK(state.stop_request({{}, {"local", "77", 0, false, ""}, "here"}) == StopRequest::kNone);
}

TEST_CASE("draining can be made a stop, a stop cannot be made draining") {
  Scene scene;
  order_stop(scene.files, true);
  const Owner owner = scene.state().owners().at(scene.writer.shard());
  CHECK(scene.state().stop_request(owner) == StopRequest::kDrain);
  order_stop(scene.files, false);
  order_stop(scene.files, true);
  CHECK(scene.state().stop_request(owner) == StopRequest::kSave);
}

TEST_CASE("failed trials get another chance, others are refused by name") {
  Scene scene;
  const auto retried = order_retry(scene.files, {});
  REQUIRE(retried.size() == 2);
  CHECK(retried[0].number == 1);
  CHECK(retried[1].number == 2);
  CHECK(scene.state().trial(1).phase == TrialPhase::kPaused);
  CHECK(scene.state().trial(2).charged == 0);
  CHECK(scene.state().claimable(2, [](const std::string&) { return false; })->attempt == 4);
  CHECK(order_retry(scene.files, {}).empty());
  CHECK_THROWS_WITH(order_retry(scene.files, {0}), Catch::Contains("t00000 is ok"));
  CHECK_THROWS_WITH(order_retry(scene.files, {3}), Catch::Contains("t00003 is running"));
  CHECK_THROWS_WITH(order_retry(scene.files, {6}), Catch::Contains("0 to 5"));
}

TEST_CASE("a trial to be tried again is said to start from its checkpoint only while it has one") {
  Scene scene;
  const TrialFiles own = scene.files.trial(1);
  make_directories(own.checkpoints(1));
  write_file_atomically(own.checkpoints(1) / checkpoint_name(10), "w");
  write_file_atomically(own.manifest(1),
                        str(R"({"checkpoints": [{"file": ")", checkpoint_name(10), R"(", "step": 10}]})"));
  CHECK(order_retry(scene.files, {1}).front().step == 10);
  scene.start(1, 2, "diverged");
  scene.writer.append("end", {{"trial", 1}, {"attempt", 2}, {"status", "diverged"}, {"step", 10}, {"message", "m"}});
  scene.writer.commit();
  clean_sweep(scene.files, {.failed = true});
  CHECK(order_retry(scene.files, {1}).front().step == 0);
}

TEST_CASE("cleaning removes checkpoints of finished trials and old temporary files, and nothing else") {
  Scene scene;
  std::vector<fs::path> checkpoints;
  for (int trial = 0; trial < 4; ++trial) {
    const TrialFiles own = scene.files.trial(trial);
    make_directories(own.checkpoints(1));
    checkpoints.push_back(own.checkpoints(1) / checkpoint_name(10));
    write_file_atomically(checkpoints.back(), std::string(1000, 'w'));
    write_file_atomically(own.best_weights(), "best");
    write_file_atomically(own.metrics(1), "{}\n");
  }
  const fs::path old = scene.files.trial(0).root / ".best.safetensors.tmp.node3-1-1";
  const fs::path young = scene.files.trial(0).root / ".best.safetensors.tmp.node3-2-1";
  write_file_atomically(old, "x");
  write_file_atomically(young, "x");
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(25));

  const Cleaned listed = clean_sweep(scene.files, {.dry_run = true});
  CHECK(listed.files == 2);
  CHECK(listed.bytes == 1001);
  CHECK(fs::exists(checkpoints[0]));
  CHECK(clean_sweep(scene.files, {}).files == 2);
  CHECK_FALSE(fs::exists(checkpoints[0]));
  CHECK_FALSE(fs::exists(old));
  CHECK(fs::exists(young));
  for (int trial = 1; trial < 4; ++trial) {
    CHECK(fs::exists(checkpoints[static_cast<std::size_t>(trial)]));
  }
  CHECK(clean_sweep(scene.files, {.failed = true}).files == 2);
  CHECK(fs::exists(checkpoints[3]));
  for (int trial = 0; trial < 4; ++trial) {
    CHECK(fs::exists(scene.files.trial(trial).best_weights()));
    CHECK(fs::exists(scene.files.trial(trial).metrics(1)));
  }
}

TEST_CASE("cleaning leaves the final checkpoints that finished trials keep, until it is told otherwise") {
  Scene scene;
  const TrialFiles own = scene.files.trial(0);
  make_directories(own.checkpoints(1));
  write_file_atomically(own.recipe(), R"({"data": {"archive": "a.h5"}, "losses": {"ncc": {}},
      "checkpoint": {"keep_final": true}, "guard": {"anchor_steps": 4}})");
  Json manifest = Json::object();
  for (const int step : {10, 9, 8, 4}) {
    const std::string name = checkpoint_name(step);
    write_file_atomically(own.checkpoints(1) / name, "w");
    manifest["checkpoints"].push_back({{"file", name}, {"step", step}});
  }
  write_file_atomically(own.manifest(1), dump_pretty(manifest));
  CHECK(clean_sweep(scene.files, {}).files == 2);  // of steps 9 and 4
  CHECK(fs::exists(own.checkpoints(1) / checkpoint_name(10)));
  CHECK(fs::exists(own.checkpoints(1) / checkpoint_name(8)));  // the anchor
  CHECK(list_checkpoints(own).size() == 2);
  CHECK(clean_sweep(scene.files, {}).files == 0);
  CHECK(clean_sweep(scene.files, {.final = true}).files == 3);
  CHECK_FALSE(fs::exists(own.checkpoints(1)));
}

}  // namespace
}  // namespace regatta
