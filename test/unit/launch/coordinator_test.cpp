// The coordinator with ranks that the test plays.
#include "launch/coordinator.hpp"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include "regatta/base/error.hpp"
#include "support/catch.hpp"
#include "unit/launch/stub_sweep.hpp"

namespace regatta {
namespace {

using test::StubRanks;
using test::StubSweep;

/// As much time as a test says.
class SetTimeLeft final : public TimeLeft {
 public:
  std::optional<double> seconds() override { return left_s; }
  std::optional<double> whole_s() override { return limit_s; }

  std::optional<double> left_s;
  std::optional<double> limit_s;  ///< from the start of the job until it is to leave
};

/// A coordinator at work on a stub sweep, over 3 ranks.
class Office {
 public:
  explicit Office(StubSweep& stub, const JobPlace& place = this_job(), const CoordinatorTimes& times = {})
      : start(stub.open()),
        writer(start.sweep->files().journal(), place),
        journal(writer),
        progress(out, false, system_clock()),
        owner(join(place)),
        coordinator(ranks, start, journal, owner, {"n1", "n1", "n2"}, 2, progress, time_left, times) {}

  void ask(int rank) { coordinator.take({rank, make_letter("ask")}); }

  void tell(int rank, const std::string& type, const Json& fields) {
    coordinator.take({rank, make_letter(type, fields)});
  }

  void end(int rank, const Json& assignment, const std::string& status, const Json& more = Json::object()) {
    Json fields = {{"trial", assignment.at("trial")},
                   {"attempt", assignment.at("attempt")},
                   {"status", status},
                   {"step", 100},
                   {"message", ""}};
    fields.update(more);
    tell(rank, "end", fields);
  }

  /// Steps until a letter of this type goes to the rank. @return null after 5 s
  Json wait_for(int rank, const std::string& type, double timeout_s = 5.0) {
    for (int i = 0; i < static_cast<int>(timeout_s * 500); ++i) {
      coordinator.step();
      const auto found = ranks.sent(rank, type);
      if (!found.empty()) {
        return found.front();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return nullptr;
  }

  std::vector<std::string> record_types() {
    std::vector<std::string> types;
    JournalReader reader(start.sweep->files().journal());
    for (const Json& record : reader.poll()) {
      types.push_back(record.at("type").get<std::string>());
    }
    return types;
  }

  StubRanks ranks{3};
  SweepStart start;
  JournalWriter writer;
  JournalThread journal;
  std::ostringstream out;
  SweepProgress progress;
  SetTimeLeft time_left;
  Owner owner;
  Coordinator coordinator;

 private:
  Owner join(const JobPlace& place) {
    const Owner joined{this_process(), place, writer.shard()};
    journal.append("join", join_fields(joined, 3));
    return joined;
  }
};

const Json kResult = {{"result", to_json(TrialResult{})}};

TEST_CASE("trials are handed out one by one to the ranks that ask, each claimed and journalled before") {
  StubSweep stub(4);
  Office office(stub);
  office.ask(2);
  const Json first = office.wait_for(2, "assign");
  REQUIRE_FALSE(first.is_null());
  CHECK(first.at("trial") == 0);
  CHECK(first.at("threads") == 2);
  CHECK(std::filesystem::exists(stub.files().claim(0, 1)));
  CHECK(office.record_types() == std::vector<std::string>{"join", "start"});
  CHECK(std::filesystem::exists(stub.files().trial(0).recipe()));
  office.ask(0);
  office.ask(1);
  CHECK(office.wait_for(0, "assign").at("trial") == 1);
  CHECK(office.wait_for(1, "assign").at("trial") == 2);
  office.end(2, first, "ok", kResult);
  office.ask(2);
  CHECK(office.wait_for(2, "assign").at("trial") == 3);
  CHECK(office.start.sweep->state().trial(0).status == TrialStatus::kOk);
}

/// A slice that ends at its rung.
void reach_rung(Office& office, int rank, const Json& given, double dice) {
  const Json place = {{"trial", given.at("trial")}, {"attempt", given.at("attempt")}, {"step", given.at("until")}};
  Json report = place;
  report["epoch"] = 1;
  report["metrics"] = {{"dice", dice}};
  office.tell(rank, "report", report);
  office.tell(rank, "checkpoint", place);
  office.end(rank, given, "paused");
}

TEST_CASE(
    "slices end at rungs; what a trial is worth there, promotions and prunes are journalled before they are acted on") {
  StubSweep stub(4, R"(, "scheduler": {"name": "asha", "eta": 2, "least": 25})");  // rungs at steps 25 and 50 of 100
  Office office(stub);
  std::vector<Json> given;
  for (int trial = 0; trial < 3; ++trial) {
    office.ask(0);
    given.push_back(office.wait_for(0, "assign"));
    REQUIRE_FALSE(given.back().is_null());
    CHECK(given.back().at("until") == (trial < 2 ? 25 : 50));
    reach_rung(office, 0, given.back(), 0.5 + 0.1 * trial);
  }
  // Of two results the best one is promoted, before trial 2 begins: so these were trials 0, 1 and 1 again.
  CHECK(given[1].at("trial") == 1);
  CHECK(given[2].at("trial") == 1);
  CHECK(given[2].at("attempt") == 2);
  office.ask(1);
  CHECK(office.wait_for(1, "assign").at("trial") == 2);
  const std::vector<std::string> types = office.record_types();
  const auto promote = std::find(types.begin(), types.end(), "promote");
  REQUIRE(promote != types.end());
  CHECK(*std::next(promote) == "start");
  CHECK(std::count(types.begin(), types.end(), "rung") == 3);
}

TEST_CASE("a trial that never goes on is pruned: a record first, then its checkpoints are deleted") {
  StubSweep stub(2, R"(, "scheduler": {"name": "asha", "eta": 2, "least": 50})");
  Office office(stub);
  office.ask(0);
  const Json first = office.wait_for(0, "assign");
  const TrialFiles files = stub.files().trial(0);
  make_directories(files.checkpoints(1));
  write_file_atomically(files.checkpoints(1) / checkpoint_name(50), "weights");
  Json manifest = Json::object();
  manifest["checkpoints"] = Json::array();
  manifest["checkpoints"].push_back(Json{{"file", checkpoint_name(50)}, {"step", 50}});
  write_file_atomically(files.manifest(1), dump_pretty(manifest));
  reach_rung(office, 0, first, 0.4);
  office.ask(0);
  const Json second = office.wait_for(0, "assign");
  CHECK(list_checkpoints(files).size() == 1);
  reach_rung(office, 0, second, 0.6);
  office.ask(0);
  const Json last = office.wait_for(0, "assign");
  CHECK(last.at("trial") == 1);
  CHECK(last.at("until") == 0);
  office.end(0, last, "ok", kResult);
  REQUIRE_FALSE(office.wait_for(1, "finish").is_null());
  CHECK(list_checkpoints(files).empty());
  CHECK(std::filesystem::exists(stub.files().claim(0, 2)));
  CHECK(office.start.sweep->state().trial(0).status == TrialStatus::kPruned);
}

TEST_CASE("when a budget is used up running trials are told to pause, none begins, and the job leaves with 0") {
  StubSweep stub(3, R"(, "target": 0.7)");
  Office office(stub);
  office.ask(0);
  const Json running = office.wait_for(0, "assign");
  office.tell(0, "report", {{"trial", 0}, {"attempt", 1}, {"step", 10}, {"epoch", 1}, {"metrics", {{"dice", 0.75}}}});
  CHECK_FALSE(office.wait_for(0, "pause").is_null());
  office.ask(1);
  CHECK(office.wait_for(1, "assign", 0.2).is_null());
  office.end(0, running, "paused");
  office.ask(0);
  office.ask(2);
  for (int rank = 0; rank < 3; ++rank) {
    REQUIRE_FALSE(office.wait_for(rank, "leave").is_null());
    office.tell(rank, "left", Json::object());
  }
  CHECK(office.wait_for(0, "finish").at("code") == static_cast<int>(ExitCode::kOk));
}

TEST_CASE("when the last trial has ended, every rank is told how the sweep ended") {
  StubSweep stub(1);
  Office office(stub);
  office.ask(1);
  office.ask(0);
  const Json only = office.wait_for(0, "assign");
  office.tell(0, "checkpoint", {{"trial", 0}, {"attempt", 1}, {"step", 10}, {"file", "x"}});
  office.tell(0, "report", {{"trial", 0}, {"attempt", 1}, {"step", 10}, {"epoch", 1}, {"metrics", {{"dice", 0.5}}}});
  office.end(0, only, "diverged");
  for (int rank = 0; rank < 3; ++rank) {
    const Json finish = office.wait_for(rank, "finish");
    REQUIRE_FALSE(finish.is_null());
    CHECK(finish.at("code") == static_cast<int>(ExitCode::kFailure));
  }
  CHECK(office.record_types() == std::vector<std::string>{"join", "start", "checkpoint", "report", "end", "leave"});
}

TEST_CASE("one rank that wants to leave takes all with it, once all have saved") {
  StubSweep stub(5);
  Office office(stub);
  office.ask(0);
  const Json running = office.wait_for(0, "assign");
  office.tell(1, "leaving", {{"signal", 12}});
  for (int rank = 0; rank < 3; ++rank) {
    CHECK_FALSE(office.wait_for(rank, "leave").is_null());
  }
  office.tell(1, "left", Json::object());
  office.tell(2, "left", Json::object());
  office.ask(2);
  CHECK(office.wait_for(2, "assign", 0.2).is_null());
  CHECK(office.wait_for(2, "finish", 0.2).is_null());
  office.end(0, running, "paused");
  office.tell(0, "left", Json::object());
  CHECK(office.wait_for(2, "finish").at("code") == static_cast<int>(ExitCode::kRequeue));
  CHECK(office.start.sweep->state().trial(0).phase == TrialPhase::kPaused);
}

TEST_CASE("a trial whose result stands without an end in the journal is taken as done, not trained again") {
  StubSweep stub(2);
  {
    Office killed(stub);
    killed.ask(0);
    REQUIRE(killed.wait_for(0, "assign").at("trial") == 0);
    TrialResult result;
    result.recipe_hash = killed.start.book.plan(0).description.hash;
    result.steps = 100;
    write_file_atomically(stub.files().trial(0).result(), dump_pretty(to_json(result)));
    killed.journal.append("leave");  // as if its process were gone
  }
  Office next(stub);
  next.ask(0);
  const Json given = next.wait_for(0, "assign");
  CHECK(given.at("trial") == 1);
  CHECK(next.start.sweep->state().trial(0).status == TrialStatus::kOk);
  CHECK(next.start.sweep->state().trial(0).attempts == 2);
}

/// All ranks idle or gone: asks for all three.
void all_ask(Office& office) {
  for (int rank = 0; rank < 3; ++rank) {
    office.ask(rank);
  }
}

/// All ranks leave when they are told to. @return the code with which they finish
int code_after_leave(Office& office) {
  for (int rank = 0; rank < 3; ++rank) {
    REQUIRE_FALSE(office.wait_for(rank, "leave").is_null());
    office.tell(rank, "left", Json::object());
  }
  const Json finish = office.wait_for(0, "finish");
  REQUIRE_FALSE(finish.is_null());
  return finish.at("code").get<int>();
}

JobPlace slurm_job(int restart) {
  return {"cluster", "77", restart, true, ""};
}

TEST_CASE("near the end of a job only trials that fit are started; when none does, the job leaves to be requeued") {
  StubSweep stub(4);  // of 100 steps each
  Office office(stub);
  office.time_left.left_s = 1000.0;
  office.ask(0);
  const Json first = office.wait_for(0, "assign");
  REQUIRE_FALSE(first.is_null());
  office.tell(0, "progress", {{"trial", 0}, {"attempt", 1}, {"step", 1}, {"ms_per_step", 100.0}});
  office.end(0, first, "ok", kResult);
  office.time_left.left_s = 60.0 + 10.0 + 12.0;  // early signal, a save, loading and 100 steps of 0.1 s
  office.ask(0);
  CHECK_FALSE(office.wait_for(0, "assign").is_null());
  office.time_left.left_s = 60.0 + 10.0 + 8.0;
  office.ask(1);
  CHECK(office.wait_for(1, "assign", 0.3).is_null());
  office.end(0, {{"trial", 1}, {"attempt", 1}}, "ok", kResult);
  all_ask(office);
  CHECK(code_after_leave(office) == static_cast<int>(ExitCode::kRequeue));
  CHECK(office.start.sweep->state().gained(office.owner.shard) == true);
}

TEST_CASE("a Slurm job that gains nothing in two starts in a row is not to be requeued again") {
  StubSweep stub(2);
  for (int restart = 0; restart < 2; ++restart) {
    Office office(stub, slurm_job(restart));
    office.time_left.left_s = 5.0;
    all_ask(office);
    const ExitCode expected = restart == 0 ? ExitCode::kRequeue : ExitCode::kNoGain;
    CHECK(code_after_leave(office) == static_cast<int>(expected));
    CHECK(office.start.sweep->state().gained(office.owner.shard) == false);
  }
  Office other(stub, {"cluster", "78", 0, true, ""});
  other.time_left.left_s = 5.0;
  all_ask(other);
  CHECK(code_after_leave(other) == static_cast<int>(ExitCode::kRequeue));
}

TEST_CASE("a job whose whole time limit is too short for a trial is not requeued even once") {
  StubSweep stub(2);
  Office never(stub, slurm_job(0));
  never.time_left.left_s = 115.0;
  never.time_left.limit_s = 120.0;  // 60 s of early signal, 90 s for a trial
  all_ask(never);
  CHECK(code_after_leave(never) == static_cast<int>(ExitCode::kNoGain));
  Office late(stub, {"cluster", "78", 0, true, ""});
  late.time_left.left_s = 115.0;
  late.time_left.limit_s = 7200.0;  // its next start has time
  all_ask(late);
  CHECK(code_after_leave(late) == static_cast<int>(ExitCode::kRequeue));
}

TEST_CASE("`regatta stop` lets a job save and leave with 0, also at its later starts; a new job continues") {
  StubSweep stub(3);
  CoordinatorTimes quick;
  quick.look_again_s = quick.look_busy_s = 0.02;
  const bool drain = GENERATE(false, true);
  {
    Office office(stub, slurm_job(0), quick);
    office.ask(0);
    const Json running = office.wait_for(0, "assign");
    office.ask(1);
    const Json second = office.wait_for(1, "assign");
    JournalWriter visitor(stub.files().journal(), this_job());
    visitor.append("stop", {{"shards", Json::array()}, {"jobs", {"cluster/77"}}, {"drain", drain}});
    visitor.commit();
    CHECK(office.wait_for(2, "leave", drain ? 0.3 : 5.0).is_null() == drain);
    office.end(0, running, drain ? "ok" : "paused", drain ? kResult : Json::object());
    office.ask(0);
    CHECK(office.wait_for(0, "assign", 0.3).is_null());
    office.end(1, second, drain ? "ok" : "paused", drain ? kResult : Json::object());
    all_ask(office);
    if (drain) {
      CHECK_FALSE(office.wait_for(2, "leave").is_null());
    }
    for (int rank = 0; rank < 3; ++rank) {
      office.tell(rank, "left", Json::object());
    }
    CHECK(office.wait_for(1, "finish").at("code") == static_cast<int>(ExitCode::kOk));
  }
  {
    Office requeued(stub, slurm_job(1), quick);
    all_ask(requeued);
    CHECK(code_after_leave(requeued) == static_cast<int>(ExitCode::kOk));
  }
  Office other(stub, {"cluster", "78", 0, true, ""}, quick);
  other.ask(0);
  CHECK_FALSE(other.wait_for(0, "assign").is_null());
}

TEST_CASE("a job that finds nothing to do for a long time, because others have the rest, leaves with 0") {
  StubSweep stub(1);
  CoordinatorTimes quick;
  quick.look_again_s = 0.02;
  quick.idle_leave_s = 0.1;
  Office busy(stub);
  busy.ask(0);
  REQUIRE_FALSE(busy.wait_for(0, "assign").is_null());
  Office idle(stub, this_job(), quick);
  all_ask(idle);
  CHECK(code_after_leave(idle) == static_cast<int>(ExitCode::kOk));
}

TEST_CASE("the number of threads is fixed when a trial is born") {
  StubSweep stub(1);
  SweepStart start = stub.open();
  CHECK(start.book.bear(0, stub.files().trial(0), 3) == 3);
  CHECK(start.book.bear(0, stub.files().trial(0), 8) == 3);
  SweepStart again = stub.open();
  CHECK(again.book.bear(0, stub.files().trial(0), 8) == 3);
  CHECK(find_pointer(read_json(stub.files().trial(0).recipe()), "/run/threads")->get<int>() == 3);
}

TEST_CASE("a finished sweep asks only for its base recipe, an extended one for the new trials too") {
  StubSweep stub(2);
  {
    Office office(stub);
    for (int trial = 0; trial < 2; ++trial) {
      office.ask(0);
      office.end(0, office.wait_for(0, "assign"), "ok", kResult);
    }
    REQUIRE_FALSE(office.wait_for(1, "finish").is_null());
  }
  stub.describer.described = 0;
  CHECK(stub.open().is_finished());
  CHECK(stub.describer.described == 1);
}

}  // namespace
}  // namespace regatta
