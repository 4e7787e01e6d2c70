// The worker's side of the protocol, in a child process with a real socket pair.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "regatta/base/clock.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/protocol.hpp"
#include "regatta/train/run_folder.hpp"
#include "regatta/train/worker.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

/// A worker in a child process; the test is its supervisor.
class RunningWorker {
 public:
  RunningWorker() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw BugError("no socket pair");
    }
    child_ = ::fork();
    if (child_ == 0) {
      ::close(ends[0]);
      try {
        ::_exit(static_cast<int>(run_worker(ends[1])));
      } catch (const Error& error) {
        ::_exit(static_cast<int>(error.code()));
      }
    }
    ::close(ends[1]);
    channel_.emplace(ends[0]);
  }

  ~RunningWorker() {
    channel_.reset();
    wait();
  }

  void send(const std::string& type, const Json& fields) { channel_->send(type, fields); }

  /// Messages up to the first one of this type.
  std::vector<Json> until(const std::string& type) {
    std::vector<Json> seen;
    const double end = system_clock().monotonic_s() + 60.0;
    while (system_clock().monotonic_s() < end && !channel_->closed()) {
      for (Json& message : channel_->receive()) {
        seen.push_back(std::move(message));
      }
      for (std::size_t i = 0; i < seen.size(); ++i) {
        if (seen[i].at("type") == type) {
          return seen;
        }
      }
      ::usleep(1000);
    }
    return seen;
  }

  void hang_up() { channel_.reset(); }

  int wait() {
    int status = 0;
    if (child_ > 0) {
      ::waitpid(child_, &status, 0);
      child_ = -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t child_ = -1;
  std::optional<LineChannel> channel_;
};

struct Trial {
  explicit Trial(std::int64_t steps, bool keep_final = false) : files{folder / "t00000"} {
    Recipe recipe = test::scene_recipe(test::write_scene(folder.path()));
    recipe.train.steps = steps;
    recipe.optim.horizon_epochs = keep_final ? 4 : 0;
    recipe.checkpoint.keep_final = keep_final;
    RecipeResolver resolver;
    settle_recipe(files, recipe, resolver, Existing::kContinue);
  }

  Json order(int attempt, std::int64_t until = 0) const {
    return to_json(StartOrder{files.root.string(), attempt, "cpu", 1, until});
  }

  test::TemporaryFolder folder;
  TrialFiles files;
};

TEST_CASE("a worker says hello, trains and ends with its result") {
  const Trial trial(4);
  RunningWorker worker;
  const auto hello = worker.until("hello");
  REQUIRE_FALSE(hello.empty());
  CHECK(hello[0].at("protocol") == kProtocolVersion);
  CHECK(hello[0].at("build") == build_id());
  worker.send("start", trial.order(1));
  const auto messages = worker.until("end");
  REQUIRE_FALSE(messages.empty());
  CHECK(messages.back().at("status") == "ok");
  CHECK(messages.back().at("result").at("steps") == 4);
  int reports = 0;
  int checkpoints = 0;
  for (const Json& message : messages) {
    reports += message.at("type") == "report" && message.at("metrics").contains("dice") ? 1 : 0;
    checkpoints += message.at("type") == "checkpoint" ? 1 : 0;
  }
  CHECK(reports == 3);  // at steps 0, 3 and 4
  CHECK(checkpoints >= 1);
  CHECK(worker.wait() == 0);
  CHECK(std::filesystem::exists(trial.files.result()));
}

std::string train_to_end(const Trial& trial, int attempt) {
  RunningWorker worker;
  worker.send("start", trial.order(attempt));
  const auto messages = worker.until("end");
  REQUIRE_FALSE(messages.empty());
  REQUIRE(messages.back().at("status") == "ok");
  const auto kept = list_checkpoints(trial.files);
  return kept.size() == 1 ? read_file(kept[0].path) : "";
}

/// One slice. @return all messages; the last is "end"
std::vector<Json> train_until(const Trial& trial, int attempt, std::int64_t until, bool pause = false) {
  RunningWorker worker;
  worker.send("start", trial.order(attempt, until));
  if (pause) {
    worker.send("pause", Json::object());
  }
  auto messages = worker.until("end");
  REQUIRE_FALSE(messages.empty());
  REQUIRE(messages.back().at("type") == "end");
  return messages;
}

/// Steps of the messages of one type.
std::vector<std::int64_t> steps_of(const std::vector<Json>& messages, const std::string& type) {
  std::vector<std::int64_t> steps;
  for (const Json& message : messages) {
    if (message.at("type") == type) {
      steps.push_back(message.at("step").get<std::int64_t>());
    }
  }
  return steps;
}

TEST_CASE("a slice ends at the validation that it is to end at, and the next one goes on, bit for bit") {
  const Trial whole(6, true);
  const std::string expected = train_to_end(whole, 1);
  REQUIRE_FALSE(expected.empty());
  const Trial trial(6, true);
  const auto first = train_until(trial, 1, 3);
  CHECK(first.back().at("status") == "paused");
  CHECK(first.back().at("step") == 3);
  CHECK(steps_of(first, "report") == std::vector<std::int64_t>{0, 3});
  REQUIRE_FALSE(steps_of(first, "checkpoint").empty());
  CHECK(steps_of(first, "checkpoint").back() == 3);
  // Its supervisor was killed before it could tell: the same slice again trains nothing and says the same.
  const auto again = train_until(trial, 2, 3);
  CHECK(again.back().at("status") == "paused");
  CHECK(steps_of(again, "report") == std::vector<std::int64_t>{3});
  CHECK(steps_of(again, "checkpoint") == std::vector<std::int64_t>{3});
  CHECK(train_to_end(trial, 3) == expected);
}

TEST_CASE("a worker that is told to pause ends after its next validation") {
  const Trial trial(6);
  const auto messages = train_until(trial, 1, 0, true);
  CHECK(messages.back().at("status") == "paused");
  CHECK(steps_of(messages, "report").size() == 1);
}

TEST_CASE("a finished trial that keeps its final checkpoint continues from it to a longer training, bit for bit") {
  const Trial longer(6, true);
  const std::string expected = train_to_end(longer, 1);
  REQUIRE_FALSE(expected.empty());
  const Trial trial(3, true);
  const std::string first = train_to_end(trial, 1);
  REQUIRE_FALSE(first.empty());
  CHECK(first != expected);
  Json recipe = read_json(trial.files.recipe());
  set_pointer(recipe, "/train/steps", 6);
  write_file_atomically(trial.files.recipe(), dump_pretty(recipe));
  CHECK(train_to_end(trial, 2) == expected);
  CHECK(read_file(trial.files.metrics(2)).rfind(R"({"kind":"start","step":3)", 0) == 0);
  CHECK(read_json(trial.files.result()).at("steps") == 6);
  const Trial bare(3);
  train_to_end(bare, 1);
  CHECK(list_checkpoints(bare.files).empty());
}

TEST_CASE("a worker told to leave saves, says paused and exits with 85; the next attempt continues") {
  const Trial trial(200);
  {
    RunningWorker worker;
    worker.send("start", trial.order(1));
    worker.until("checkpoint");
    worker.send("leave", Json::object());
    const auto messages = worker.until("end");
    REQUIRE_FALSE(messages.empty());
    CHECK(messages.back().at("status") == "paused");
    CHECK(worker.wait() == 85);
  }
  const std::int64_t reached = list_checkpoints(trial.files).at(0).step;
  RunningWorker worker;
  worker.send("start", trial.order(2));
  const auto messages = worker.until("checkpoint");
  REQUIRE_FALSE(messages.empty());
  CHECK(messages.back().at("step") > reached);
  CHECK(read_file(trial.files.metrics(2)).rfind(str("{\"kind\":\"start\",\"step\":", reached), 0) == 0);
}

TEST_CASE("a worker whose supervisor is gone ends at once with the code of a broken connection") {
  const Trial trial(2000);
  RunningWorker worker;
  worker.send("start", trial.order(1));
  worker.until("checkpoint");
  worker.hang_up();
  CHECK(worker.wait() == static_cast<int>(ExitCode::kComm));
}

TEST_CASE("bad input ends with its reason and code") {
  const Trial trial(4);
  write_file_atomically(trial.files.recipe(), "{\"optim\": {\"lrr\": 1}}");
  RunningWorker worker;
  worker.send("start", trial.order(1));
  const auto messages = worker.until("end");
  REQUIRE_FALSE(messages.empty());
  CHECK(messages.back().at("status") == "bad input");
  CHECK(messages.back().at("message").get<std::string>().find("/optim/lrr") != std::string::npos);
  CHECK(worker.wait() == static_cast<int>(ExitCode::kConfig));
}

}  // namespace
}  // namespace regatta
