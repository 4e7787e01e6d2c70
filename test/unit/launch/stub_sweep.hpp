// A sweep in a temporary folder whose ranks are played by the test: for tests of the coordinator and of progress.
#pragma once

#include <map>

#include "launch/ranks.hpp"
#include "launch/sweep_start.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/recipe.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {

/// Answers as the models would: everything is fine.
class StubDescriber final : public Describer {
 public:
  std::vector<Description> describe(const std::vector<Json>& recipes) override {
    std::vector<Description> answers;
    for (const Json& given : recipes) {
      const Recipe recipe = recipe_from_json(given, "recipe");
      Description answer;
      answer.resolved = write_options(recipe);
      answer.identity = identity_of(recipe);
      answer.hash = hash_json(answer.identity);
      answer.steps = 100;
      answer.metrics = {{"dice", "maximise"}};
      answers.push_back(answer);
    }
    described += static_cast<int>(recipes.size());
    return answers;
  }

  int described = 0;
};

/// Ranks whose letters stay here.
class StubRanks final : public Ranks {
 public:
  explicit StubRanks(int size) : size_(size) {}

  int rank() const override { return 0; }

  int size() const override { return size_; }

  std::vector<std::string> gather(const std::string& text) override {
    return std::vector<std::string>(static_cast<std::size_t>(size_), text);
  }

  void leave(double) override {}

  /// Takes the letters of one type that were sent to a rank.
  std::vector<Json> sent(int to, const std::string& type) {
    for (Letter& letter : receive()) {
      letters_.emplace(0, std::move(letter.body));
    }
    std::vector<Json> found;
    for (auto at = letters_.begin(); at != letters_.end();) {
      if (at->first == to && at->second.at("type") == type) {
        found.push_back(at->second);
        at = letters_.erase(at);
      } else {
        ++at;
      }
    }
    return found;
  }

 protected:
  void send_away(int to, std::string text) override { letters_.emplace(to, parse_json(text, "letter")); }

  void receive_arrived(std::vector<Letter>&) override {}

 private:
  int size_;
  std::multimap<int, Json> letters_;
};

/// A job of `trials` trials over /optim/lr, opened.
struct StubSweep {
  /// @param more  further members of the job, each after a comma
  explicit StubSweep(int trials, const std::string& more = "") {
    std::vector<std::string> values;
    for (int i = 1; i <= trials; ++i) {
      values.push_back(str(i * 0.001));
    }
    write_file_atomically(folder / "job.json",
                          str(R"({"name": "stub", "recipe": {"data": {"archive": "none.h5"}, "losses": {"ncc": {}}},)",
                              R"( "axes": {"/optim/lr": {"list": [)", join(values, ", "), "]}}", more, "}"));
  }

  SweepStart open() {
    SweepRun run;
    run.job = folder / "job.json";
    run.directory = folder / "sweep";
    return SweepStart(run, describer, probe);
  }

  SweepFiles files() const { return {folder / "sweep"}; }

  TemporaryFolder folder;
  StubDescriber describer;
  NoJobProbe probe;
};

}  // namespace regatta::test
