// Sweeps whose points follow from results: what is proposed, before and after kills, and what a person adds meanwhile.
#include <nlohmann/json.hpp>

#include "e2e/sweep_process.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/steer.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

constexpr int kTrials = 24;

struct Bench {
  explicit Bench(const std::string& more = "") {
    write_file_atomically(job, str(R"({"name": "search", "sampler": "tpe", "trials": )", kTrials,
                                   R"(, "recipe": {"data": {"archive": "none.h5"}, "losses": {"ncc": {}}},
      "axes": {"/optim/lr": {"log": [0.0001, 0.01]}, "/losses/ncc/weight": {"linear": [0.5, 4]}})",
                                   more, "}"));
  }

  int run(int ranks, int steps = 10) const {
    std::vector<std::string> words = {"sweep", job.string(), "-o", sweep.string()};
    if (ranks > 1) {
      words.insert(words.end(), {"--ranks", str(ranks)});
    }
    return SweepProcess(words, fake(steps, 1), output).wait();
  }

  std::vector<Json> records() const { return JournalReader(SweepFiles{sweep}.journal()).poll(); }

  /// By setting.
  std::map<std::int64_t, Point> proposals() const {
    std::map<std::int64_t, Point> points;
    for (const Json& record : records()) {
      if (const auto proposal = record.at("type") == "proposal" ? proposal_from_json(record) : std::nullopt) {
        points[proposal->setting] = proposal->point;
      }
    }
    return points;
  }

  /// Proposals that their own cut of the journal does not give again.
  int not_reproduced() const {
    const SweepDefinition definition = read_definition(SweepFiles{sweep});
    const std::vector<Json> all = records();
    int count = 0;
    for (const Json& record : all) {
      const auto proposal = record.at("type") == "proposal" ? proposal_from_json(record) : std::nullopt;
      if (!proposal) {
        continue;
      }
      std::vector<Json> seen;
      for (const Json& other : all) {
        const auto cut = proposal->cut.find(other.at("shard").get<std::string>());
        const bool is_earlier = other.at("type") == "proposal" && other.at("setting") < record.at("setting");
        if (is_earlier || (cut != proposal->cut.end() && other.at("seq") <= cut->second)) {
          seen.push_back(other);
        }
      }
      SweepState then(rules_of(definition));
      then.apply(seen);
      const TrialList trials(definition.job, then.extensions(), then.proposals());
      count += trials.space().setting_from(proposal->setting, search_history(then, trials)) == proposal->point ? 0 : 1;
    }
    return count;
  }

  TemporaryFolder folder;
  fs::path job = folder / "job.json";
  fs::path sweep = folder / "sweep";
  fs::path output = folder / "output.txt";
};

}  // namespace

TEST_CASE("4 ranks train what tpe proposes, and every proposal follows from the cut that it names") {
  const Bench bench;
  const int code = bench.run(4);
  INFO(text_of(bench.output));
  REQUIRE(code == 0);
  CHECK(bench.proposals().size() == kTrials);
  CHECK(bench.not_reproduced() == 0);
  for (const auto& [setting, point] : bench.proposals()) {
    const Json recipe = read_json(SweepFiles{bench.sweep}.trial(setting).recipe());
    for (const auto& [pointer, value] : point) {
      CHECK(*find_pointer(recipe, pointer) == value);
    }
  }
}

TEST_CASE("a tpe sweep of one rank that is killed again and again proposes what an undisturbed one does", "[kill]") {
  const Bench calm;
  REQUIRE(calm.run(1) == 0);
  const Bench killed;
  int kills = 0;
  while (true) {
    SweepProcess run({"sweep", killed.job.string(), "-o", killed.sweep.string()}, fake(10, 8), killed.output);
    for (int i = 0; i < 12 + kills && !run.has_ended(); ++i) {
      sleep_s(0.1);
    }
    if (run.has_ended()) {
      REQUIRE(run.wait() == 0);
      break;
    }
    for (const FoundProcess& process : run.processes()) {
      kill(process.pid, SIGKILL);
    }
    run.wait();
    ++kills;
  }
  INFO(kills << " kills");
  CHECK(kills > 0);
  CHECK(killed.proposals() == calm.proposals());
  CHECK(results(killed.sweep, kTrials) == results(calm.sweep, kTrials));
  CHECK(killed.not_reproduced() == 0);
}

TEST_CASE("a finished sweep lends its results, and an enqueued point is trained in addition") {
  const Bench first;
  REQUIRE(first.run(2) == 0);
  const Bench second(str(R"(, "enqueue": [{}], "warm_start": [")", first.sweep.string(), "\"]"));
  REQUIRE(second.run(2) == 0);
  CHECK(text_of(second.output).find(str("warm start: ", kTrials, " points of ", first.sweep.string())) !=
        std::string::npos);
  CHECK(second.not_reproduced() == 0);
  const SweepFiles files{second.sweep};
  const Json recipe = read_json(files.trial(0).recipe());
  CHECK(*find_pointer(recipe, "/losses/ncc/weight") == 1.0);
  ProgramDescriber describer(REGATTA_FAKE_WORKER);
  const EnqueuedPoint added = order_enqueue(files, {{"/optim/lr", 0.002}}, describer);
  CHECK(added.first == kTrials);
  REQUIRE(second.run(1) == 0);
  CHECK(fs::exists(files.trial(kTrials).result()));
  CHECK(*find_pointer(read_json(files.trial(kTrials).recipe()), "/optim/lr") == 0.002);
}

}  // namespace regatta::test
