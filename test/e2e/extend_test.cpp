// Sweeps that grow: by values, replicates and epochs, with several jobs at once, and killed on the way.
#include <algorithm>

#include "e2e/sweep_process.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/report/collect.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

struct Field {
  TemporaryFolder folder;
  fs::path sweep = folder / "sweep";

  fs::path job(const std::string& name, const std::string& recipe, const std::string& rates, int replicates = 1) const {
    const fs::path path = folder / (name + ".json");
    write_file_atomically(
        path, str(R"({"name": "fake", "recipe": {"data": {"archive": "none.h5"}, "losses": {"ncc": {}})", recipe,
                  R"(}, "axes": {"/optim/lr": {"list": [)", rates, R"(]}}, "replicates": )", replicates, "}"));
    return path;
  }

  std::vector<std::string> command(const fs::path& job, int ranks = 1) const {
    std::vector<std::string> words = {"sweep", job.string(), "-o", sweep.string()};
    if (ranks > 1) {
      words.insert(words.end(), {"--ranks", str(ranks)});
    }
    return words;
  }

  fs::path output(const std::string& name) const { return folder / (name + ".txt"); }

  int run(const std::string& name, const fs::path& job, const std::map<std::string, std::string>& environment) const {
    const int code = SweepProcess(command(job), environment, output(name)).wait();
    INFO(text_of(output(name)));
    CHECK(code == 0);
    return code;
  }

  SweepState state() const {
    SweepState folded(rules_of(read_definition({sweep})));
    JournalReader reader(SweepFiles{sweep}.journal());
    folded.apply(reader.poll());
    return folded;
  }
};

std::map<std::string, std::string> fake_epochs(int steps, int ms) {
  return {{"REGATTA_FAKE",
           str(R"({"steps": )", steps, R"(, "ms": )", ms, R"(, "checkpoint_every": 10, "per_epoch": true})")}};
}

TEST_CASE("a finished sweep is extended by a value and by replicates, and its report ranks all points") {
  const Field field;
  REQUIRE(field.run("born", field.job("born", "", "0.001, 0.002"), fake(10, 1)) == 0);
  const auto born = results(field.sweep, 2);
  REQUIRE(field.run("value", field.job("value", "", "0.0005, 0.001, 0.002"), fake(10, 1)) == 0);
  CHECK(text_of(field.output("value")).find("extended from 2 to 3 trials (t00002 to t00002 are new)") !=
        std::string::npos);
  REQUIRE(field.run("more", field.job("more", "", "0.0005, 0.001, 0.002", 2), fake(10, 1)) == 0);
  CHECK(results(field.sweep, 2) == born);
  for (int trial = 0; trial < 6; ++trial) {
    CHECK(starts(field.sweep, trial).size() == 1);
  }
  const Report report = read_report({field.sweep});
  REQUIRE(report.trials.size() == 6);
  REQUIRE(report.ranking.size() == 3);
  for (const ReportPoint& point : report.ranking) {
    REQUIRE(point.trials.size() == 2);
    CHECK(point.objective.n == 2);
    CHECK(report.trials[point.trials[0]].axes == report.trials[point.trials[1]].axes);
    CHECK(report.trials[point.trials[0]].seed + 1 == report.trials[point.trials[1]].seed);
  }
}

TEST_CASE("a sweep extended by epochs ends with the weights of one that was born longer, also if it is killed") {
  const Field field;
  const std::string keeps =
      R"(, "checkpoint": {"keep_final": true}, "optim": {"horizon_epochs": 4}, "train": {"epochs": )";
  REQUIRE(field.run("born", field.job("born", keeps + "2}", "0.001, 0.002, 0.003"), fake_epochs(10, 1)) == 0);
  const fs::path longer = field.job("longer", keeps + "4}", "0.001, 0.002, 0.003");
  {
    SweepProcess killed(field.command(longer, 2), fake_epochs(10, 20), field.output("killed"));
    while (!killed.has_ended() && field.state().extensions().empty()) {
      sleep_s(0.02);
    }
    sleep_s(0.5);
  }  // SIGKILL to all
  CHECK_FALSE(field.state().finished());
  REQUIRE(field.run("again", longer, fake_epochs(10, 1)) == 0);
  CHECK(field.state().finished());
  CHECK(field.state().extensions().size() == 1);
  for (int trial = 0; trial < 3; ++trial) {
    CHECK(starts(field.sweep, trial)[1].second >= 20);  // from its final checkpoint
    CHECK(field.state().trial(trial).result.at("steps") == 40);
  }
  const Field other;
  REQUIRE(other.run("longer", other.job("longer", keeps + "4}", "0.001, 0.002, 0.003"), fake_epochs(10, 1)) == 0);
  CHECK(results(field.sweep, 3) == results(other.sweep, 3));
}

TEST_CASE("epochs on a schedule that ends, or without a final checkpoint, are refused before anything changes") {
  const Field field;
  const auto with_epochs = [&](int epochs, const std::string& more) {
    return field.job(str("job", epochs), str(R"(, "train": {"epochs": )", epochs, "}", more), "0.001");
  };
  REQUIRE(field.run("born", with_epochs(2, ""), fake_epochs(10, 1)) == 0);
  SweepProcess refused(field.command(with_epochs(4, "")), fake_epochs(10, 1), field.output("refused"));
  CHECK(refused.wait() == 2);
  CHECK(text_of(field.output("refused")).find("runs down over the training as born (20 steps)") != std::string::npos);
  fs::remove_all(SweepFiles{field.sweep}.trial(0).checkpoints(1));
  SweepProcess bare(field.command(with_epochs(4, R"(, "optim": {"horizon_epochs": 2})")), fake_epochs(10, 1),
                    field.output("bare"));
  CHECK(bare.wait() == 2);
  CHECK(text_of(field.output("bare")).find("kept no checkpoint to continue from") != std::string::npos);
  CHECK(field.state().finished());
  CHECK(field.state().total() == 1);
}

TEST_CASE("two jobs extend a sweep at once while the job that began it runs on, and all three do the new trials") {
  const Field field;
  const fs::path born = field.job("born", "", "0.001, 0.002");
  const fs::path wider = field.job("wider", "", "0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008");
  SweepProcess first(field.command(born), fake(40, 100), field.output("first"));
  while (!first.has_ended() && !fs::exists(SweepFiles{field.sweep}.trial(0).root / "starts.log")) {
    sleep_s(0.02);
  }
  {
    SweepProcess second(field.command(wider), fake(40, 100), field.output("second"));
    SweepProcess third(field.command(wider), fake(40, 100), field.output("third"));
    CHECK(second.wait() == 0);
    CHECK(third.wait() == 0);
    CHECK(first.wait() == 0);
  }
  INFO(text_of(field.output("first")));
  const SweepState state = field.state();
  CHECK(state.total() == 8);
  CHECK(state.finished());
  CHECK(state.extensions().size() == 1);
  CHECK_FALSE(has_violation(field.sweep, 8));
  for (int trial = 0; trial < 8; ++trial) {
    CHECK(starts(field.sweep, trial).size() == 1);
  }
  std::vector<std::string> shards;
  for (int trial = 0; trial < 8; ++trial) {
    shards.push_back(state.trial(trial).shard);
  }
  CHECK(std::count(shards.begin() + 2, shards.end(), shards[0]) > 0);  // the job that began it
}

}  // namespace
}  // namespace regatta::test
