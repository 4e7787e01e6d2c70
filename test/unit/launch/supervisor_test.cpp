// The supervisor with a real spawner and the stand-in worker, and with short deadlines.
#include "launch/supervisor.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "launch/ranks.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/recipe.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta {
namespace {

using test::TemporaryFolder;

SupervisorTimes short_times() {
  SupervisorTimes times;
  times.hang = {1.0, 0.3, 1.0};
  times.leave_deadline_s = 0.5;
  times.repeat_leave_s = 0.05;
  times.after_abort_s = 0.2;
  times.after_end_s = 0.5;
  times.progress_every_s = 0.0;
  return times;
}

/// One rank with its spawner; what it sends to the coordinator is kept.
class Desk {
 public:
  explicit Desk(const std::string& script, SupervisorTimes times = short_times()) {
    ::setenv("REGATTA_FAKE", script.c_str(), 1);
    Recipe recipe;
    recipe.data.archive = "none.h5";
    recipe.losses["ncc"] = {};
    make_directories(root());
    write_file_atomically(TrialFiles{root()}.recipe(), dump_pretty(write_options(recipe)));
    spawner = std::make_unique<Spawner>();
    supervisor = std::make_unique<Supervisor>(
        *spawner, WorkerSeat{REGATTA_FAKE_WORKER, {}, {}, {}},
        [this](const Json& letter) { letters.push_back(letter); }, times);
  }

  std::filesystem::path root() const { return folder / "t00000"; }

  void assign() {
    supervisor->take(make_letter("assign", {{"trial", 0}, {"attempt", 1}, {"root", root().string()}, {"threads", 1}}));
  }

  /// Steps until a letter of this type has been sent. @return it, or null after 10 s
  Json wait_for(const std::string& type) {
    for (int i = 0; i < 2000; ++i) {
      for (const Json& letter : letters) {
        if (letter.at("type") == type) {
          return letter;
        }
      }
      supervisor->step();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return nullptr;
  }

  int count(const std::string& type) const {
    int found = 0;
    for (const Json& letter : letters) {
      found += letter.at("type") == type ? 1 : 0;
    }
    return found;
  }

  TemporaryFolder folder;
  std::unique_ptr<Spawner> spawner;
  std::vector<Json> letters;
  std::unique_ptr<Supervisor> supervisor;
};

TEST_CASE("a trial runs to its end: ask, progress, checkpoints, reports, end, and ask again") {
  Desk desk(R"({"steps": 20, "ms": 1, "checkpoint_every": 10})");
  CHECK(desk.wait_for("ask").at("type") == "ask");
  desk.assign();
  const Json end = desk.wait_for("end");
  REQUIRE_FALSE(end.is_null());
  CHECK(end.at("status") == "ok");
  CHECK(end.at("step") == 20);
  CHECK(end.at("result").at("status") == "ok");
  CHECK(desk.count("progress") == 20);
  CHECK(desk.count("checkpoint") == 2);
  CHECK(desk.count("report") == 2);
  desk.supervisor->step();
  CHECK(desk.count("ask") == 2);
}

TEST_CASE("a checkpoint that the child published but did not live to tell of is told of by its supervisor") {
  Desk desk(R"({"steps": 2000, "ms": 2})");
  desk.assign();
  REQUIRE_FALSE(desk.wait_for("checkpoint").is_null());
  const std::string pid = read_file("/proc/" + std::to_string(desk.spawner->pid()) + "/task/" +
                                    std::to_string(desk.spawner->pid()) + "/children");
  ::kill(std::stoi(pid), SIGSTOP);
  const TrialFiles files{desk.root()};
  write_file_atomically(files.manifest(1), R"({"checkpoints": [{"file": "000001990.safetensors", "step": 1990}]})");
  write_file_atomically(files.checkpoints(1) / checkpoint_name(1990), "x");
  ::kill(std::stoi(pid), SIGKILL);
  const Json end = desk.wait_for("end");
  REQUIRE_FALSE(end.is_null());
  std::int64_t newest = 0;
  for (const Json& letter : desk.letters) {
    newest = letter.at("type") == "checkpoint" ? std::max(newest, letter.at("step").get<std::int64_t>()) : newest;
  }
  CHECK(newest == 1990);
}

TEST_CASE("a child that falls silent is given up as hung") {
  Desk desk(R"({"steps": 20, "ms": 1, "modes": {"0": "hang@5"}})");
  desk.assign();
  const Json end = desk.wait_for("end");
  REQUIRE_FALSE(end.is_null());
  CHECK(end.at("status") == "hang");
  CHECK(end.at("step") == 5);
  CHECK_FALSE(desk.supervisor->is_busy());
}

TEST_CASE("a hung child writes its stack into its log") {
  Desk desk(R"({"steps": 20, "ms": 1, "modes": {"0": "hang@5"}})");
  desk.assign();
  REQUIRE_FALSE(desk.wait_for("end").is_null());
  const std::string log = read_file(TrialFiles{desk.root()}.log(1));
  CHECK(log.find("SIGABRT, stack of the thread") != std::string::npos);
  CHECK(log.find("main") != std::string::npos);
}

TEST_CASE("a stopped child is given up as hung, and the kernel's word for it is passed on") {
  Desk desk(R"({"steps": 2000, "ms": 5})");
  desk.assign();
  REQUIRE_FALSE(desk.wait_for("progress").is_null());
  const std::string pid = read_file("/proc/" + std::to_string(desk.spawner->pid()) + "/task/" +
                                    std::to_string(desk.spawner->pid()) + "/children");
  ::kill(std::stoi(pid), SIGSTOP);
  const Json end = desk.wait_for("end");
  REQUIRE_FALSE(end.is_null());
  CHECK(end.at("status") == "hang");
  CHECK(end.at("message").get<std::string>().find("stopped") != std::string::npos);
}

TEST_CASE("asked to leave, the child saves and the rank says that it has left, without asking for more") {
  Desk desk(R"({"steps": 2000, "ms": 2})");
  desk.assign();
  REQUIRE_FALSE(desk.wait_for("checkpoint").is_null());
  desk.supervisor->request_leave(SIGUSR2);
  desk.supervisor->request_leave(SIGUSR2);
  CHECK(desk.count("leaving") == 1);
  desk.supervisor->take(make_letter("leave"));
  CHECK(desk.wait_for("end").at("status") == "paused");
  REQUIRE_FALSE(desk.wait_for("left").is_null());
  CHECK(desk.count("ask") == 0);
}

TEST_CASE("a child that does not save in time is killed, and its attempt counts as a time limit") {
  SupervisorTimes times = short_times();
  times.hang = {100.0, 100.0, 100.0};
  Desk desk(R"({"steps": 2000, "ms": 2, "modes": {"0": "hang@5"}})", times);
  desk.assign();
  for (int i = 0; i < 1000 && desk.count("progress") < 5; ++i) {
    desk.supervisor->step();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  REQUIRE(desk.count("progress") == 5);
  desk.supervisor->take(make_letter("leave"));
  CHECK(desk.wait_for("end").at("status") == "timeout");
}

TEST_CASE("a trial that arrives after the call to leave is told to leave at once") {
  Desk desk(R"({"steps": 2000, "ms": 2})");
  desk.supervisor->take(make_letter("leave"));
  desk.assign();
  const Json end = desk.wait_for("end");
  CHECK(end.at("status") == "paused");
  CHECK(end.at("step").get<int>() < 100);
}

TEST_CASE("a worker of another build fails the rank") {
  Desk desk(R"({"modes": {"build": "wrong"}})");
  desk.assign();
  CHECK_THROWS_WITH(desk.wait_for("end"), Catch::Contains("0.0.0 other"));
}

TEST_CASE("a rank that hears nothing durable from its coordinator stops") {
  SupervisorTimes times = short_times();
  times.coordinator_silent_s = 0.5;
  Desk desk(R"({"steps": 2000, "ms": 2})", times);
  desk.assign();
  for (int i = 0; i < 40; ++i) {
    desk.supervisor->take(make_letter("alive", {{"durable_age_s", 0.1}}));
    CHECK_NOTHROW(desk.supervisor->step());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK_THROWS_AS(desk.wait_for("end"), CommError);
}

TEST_CASE("a worker that is not there is an error that names it") {
  Desk desk("{}");
  Supervisor other(*desk.spawner, WorkerSeat{"/no/such/engine", {}, {}, {}}, [](const Json&) {});
  CHECK_THROWS_WITH(
      other.take(make_letter("assign", {{"trial", 0}, {"attempt", 1}, {"root", desk.root().string()}, {"threads", 1}})),
      Catch::Contains("/no/such/engine: cannot start"));
}

}  // namespace
}  // namespace regatta
