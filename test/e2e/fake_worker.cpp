// A stand-in for regatta-engine, so that the processes of a sweep are tested in seconds and without LibTorch.
//   fake_worker describe        answers like `regatta-engine describe`
//   fake_worker worker --fd N   speaks the protocol; "trains" by hashing its recipe with the step number, so that a
//                               resumed trial ends with the same value as an undisturbed one
// REGATTA_FAKE, JSON: {"steps": 40, "ms": 5, "checkpoint_every": 10, "modes": {"3": "crash@7"}}; modes by trial number:
//   crash, hang, oom, nan, bad, mute, stuck (all @STEP, at every attempt; stuck: gets no further, but leaves when
//   told), once:MODE@STEP (at the first attempt only), wrong-build.
// "per_epoch": true: steps are those of an epoch, and the recipe says how many epochs.
// Beside the usual files: trials/tN/starts.log ("attempt step" a line), trials/tN/violation if two ran at once.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include "regatta/base/checksum.hpp"
#include "regatta/base/crash_stack.hpp"
#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/run_main.hpp"
#include "regatta/base/version.hpp"
#include "regatta/config/protocol.hpp"
#include "regatta/config/recipe.hpp"
#include "regatta/config/trial_files.hpp"
#include "regatta/sweep/describer.hpp"

namespace {

using namespace regatta;
namespace fs = std::filesystem;

struct Script {
  std::int64_t steps = 40;
  int ms = 5;
  std::int64_t checkpoint_every = 10;
  Json modes = Json::object();
  bool per_epoch = false;
};

Script read_script() {
  Script script;
  if (const char* text = std::getenv("REGATTA_FAKE"); text != nullptr) {
    const Json value = parse_json(text, "REGATTA_FAKE");
    script.steps = value.value("steps", script.steps);
    script.ms = value.value("ms", script.ms);
    script.checkpoint_every = value.value("checkpoint_every", script.checkpoint_every);
    script.modes = value.value("modes", script.modes);
    script.per_epoch = value.value("per_epoch", script.per_epoch);
  }
  return script;
}

std::int64_t steps_of(const Script& script, const Recipe& recipe) {
  return script.per_epoch ? script.steps * recipe.train.epochs : script.steps;
}

ExitCode describe() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  Json answers = Json::array();
  const Json question = parse_json(text, "stdin");
  for (const Json& given : question.at("recipes")) {
    Recipe recipe = recipe_from_json(given, "recipe");
    if (read_script().per_epoch && recipe.optim.horizon_epochs == 0) {
      recipe.optim.horizon_epochs = recipe.train.epochs;
    }
    Description description;
    description.resolved = write_options(recipe);
    description.identity = identity_of(recipe);
    description.hash = hash_json(description.identity);
    description.parameters = 7;
    description.steps = steps_of(read_script(), recipe);
    description.metrics = {{"dice", "maximise"}};
    description.data = {{"fingerprint", "fake"}};
    answers.push_back(to_json(description));
  }
  Json answer = Json::object();
  answer["recipes"] = answers;
  std::cout << dump_line(answer) << std::endl;
  return ExitCode::kOk;
}

/// What the fake has learnt: a number that depends on every step.
struct Weights {
  std::int64_t step = 0;
  std::string value;
};

class Training {
 public:
  Training(LineChannel& channel, const StartOrder& order, Script script)
      : channel_(channel), order_(order), script_(std::move(script)), files_{order.root} {
    const Recipe recipe = recipe_from_json(read_json(files_.recipe()), "recipe");
    recipe_hash_ = hash_json(identity_of(recipe));
    script_.steps = steps_of(script_, recipe);
    const std::int64_t trial = std::stoll(files_.root.filename().string().substr(1));
    mode_ = script_.modes.value(str(trial), std::string());
    if (mode_.starts_with("once:")) {
      mode_ = order.attempt == 1 ? mode_.substr(5) : "";
    }
    if (const std::size_t at = mode_.find('@'); at != std::string::npos) {
      mode_step_ = std::stoll(mode_.substr(at + 1));
      mode_ = mode_.substr(0, at);
    }
  }

  ExitCode run() {
    take_lock();
    weights_ = newest_checkpoint();
    std::ofstream(files_.root / "starts.log", std::ios::app) << order_.attempt << ' ' << weights_.step << '\n';
    if (order_.until > 0 && weights_.step >= order_.until) {  // saved, but nobody may have heard of it
      report();
      channel_.send("checkpoint", {{"step", weights_.step}, {"file", ""}});
      return end("paused", ExitCode::kRequeue);
    }
    while (weights_.step < script_.steps) {
      if (asked_to_leave()) {
        save();
        return end("paused", ExitCode::kRequeue);
      }
      if (weights_.step == mode_step_) {
        if (const auto code = misbehave()) {
          return *code;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(script_.ms));
      ++weights_.step;
      weights_.value = xxh3_text(str(recipe_hash_, weights_.value, weights_.step));
      channel_.send("progress",
                    {{"step", weights_.step}, {"steps", script_.steps}, {"loss", 1.0}, {"ms_per_step", script_.ms}},
                    true);
      if (weights_.step == order_.until) {
        report();
        save();
        return end("paused", ExitCode::kRequeue);
      }
      if (weights_.step % script_.checkpoint_every == 0) {
        save();
        report();
        if (pause_) {
          return end("paused", ExitCode::kRequeue);
        }
      }
    }
    return finish();
  }

 private:
  double dice() const {
    return static_cast<double>(std::stoull(xxh3_text(recipe_hash_).substr(0, 8), nullptr, 16)) / 4294967296.0 *
           static_cast<double>(weights_.step) / static_cast<double>(script_.steps);
  }

  void report() { channel_.send("report", {{"step", weights_.step}, {"epoch", 1}, {"metrics", {{"dice", dice()}}}}); }

  void take_lock() const {
    const int fd = ::open((files_.root / "lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      std::ofstream(files_.root / "violation") << order_.attempt;
    }
  }

  Weights newest_checkpoint() const {
    for (const CheckpointFile& file : list_checkpoints(files_)) {
      const std::string text = read_file(file.path);
      if (is_sealed(text)) {
        const Json saved = parse_json(text, file.path.string());
        return {saved.at("step").get<std::int64_t>(), saved.at("value").get<std::string>()};
      }
    }
    return {};
  }

  void save() {
    if (weights_.step == saved_step_) {
      return;
    }
    saved_step_ = weights_.step;
    const fs::path folder = files_.checkpoints(order_.attempt);
    make_directories(folder);
    const std::string name = checkpoint_name(weights_.step);
    write_file_atomically(folder / name, seal_line(dump_line({{"step", weights_.step}, {"value", weights_.value}})));
    Json manifest = Json::object();
    manifest["checkpoints"] = Json::array();
    manifest["checkpoints"].push_back(Json{{"file", name}, {"step", weights_.step}});
    write_file_atomically(files_.manifest(order_.attempt), dump_pretty(manifest));
    channel_.send("checkpoint", {{"step", weights_.step}, {"file", name}, {"save_s", 0.0}});
  }

  bool asked_to_leave() {
    for (const Json& message : channel_.receive()) {
      leave_ = leave_ || message.at("type") == "leave";
      pause_ = pause_ || message.at("type") == "pause";
    }
    REGATTA_REQUIRE(!channel_.closed(), CommError, "the supervisor is gone");
    return leave_;
  }

  std::optional<ExitCode> misbehave() {
    if (mode_ == "crash") {
      ::raise(SIGSEGV);
    } else if (mode_ == "hang" || mode_ == "mute") {
      while (mode_ == "hang" || !asked_to_leave()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    } else if (mode_ == "stuck") {
      while (!asked_to_leave()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      return end("paused", ExitCode::kRequeue);
    } else if (mode_ == "oom") {
      return ExitCode::kOutOfMemory;
    } else if (mode_ == "bad") {
      return ExitCode::kData;
    } else if (mode_ == "nan") {
      return end("diverged", ExitCode::kDiverged);
    }
    return std::nullopt;
  }

  ExitCode end(const std::string& status, ExitCode code) {
    channel_.send("end", {{"status", status}, {"step", weights_.step}, {"message", ""}});
    channel_.flush(5.0);
    return code;
  }

  ExitCode finish() {
    TrialResult result;
    result.recipe_hash = recipe_hash_;
    result.steps = weights_.step;
    result.best_metric = "dice";
    result.best_step = weights_.step;
    result.best = {{"dice", dice()}};
    result.last = result.best;
    result.initial = {{"dice", 0.0}};
    result.weights_xxh3 = xxh3_text(weights_.value);
    result.attempts = order_.attempt;
    write_file_atomically(files_.best_weights(), weights_.value);
    write_file_atomically(files_.result(), dump_pretty(to_json(result)));
    channel_.send("end", {{"status", "ok"}, {"step", weights_.step}, {"message", ""}, {"result", to_json(result)}});
    channel_.flush(5.0);
    return ExitCode::kOk;
  }

  LineChannel& channel_;
  StartOrder order_;
  Script script_;
  TrialFiles files_;
  std::string recipe_hash_;
  std::string mode_;
  std::int64_t mode_step_ = -1;
  std::int64_t saved_step_ = 0;
  Weights weights_;
  bool pause_ = false;
  bool leave_ = false;
};

ExitCode work(int fd) {
  install_crash_stack();
  LineChannel channel(fd);
  const Script script = read_script();
  const bool wrong_build = script.modes.value("build", std::string()) == "wrong";
  channel.send(
      "hello",
      {{"protocol", kProtocolVersion}, {"build", wrong_build ? "0.0.0 other" : build_id()}, {"device", "cpu"}});
  while (true) {
    for (const Json& message : channel.receive()) {
      if (message.at("type") == "start") {
        return Training(channel, start_order_from(message), script).run();
      }
    }
    REGATTA_REQUIRE(!channel.closed(), CommError, "the supervisor is gone");
    pollfd wait{fd, POLLIN, 0};
    ::poll(&wait, 1, 1000);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return regatta::run_main([&] {
    const std::string command = argc > 1 ? argv[1] : "";
    if (command == "describe") {
      return describe();
    }
    REGATTA_REQUIRE(command == "worker" && argc == 4, ConfigError, "fake_worker describe | worker --fd N");
    return work(std::stoi(argv[3]));
  });
}
