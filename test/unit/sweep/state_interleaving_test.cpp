// Property: whatever the order in which shards are read, however the calls split them, and with shards cut anywhere,
// the replay gives the same state as reading all at once, and the state with indexes answers like the reference.
#include <algorithm>
#include <fstream>

#include "fakes.hpp"
#include "reference_state.hpp"
#include "regatta/base/checksum.hpp"
#include "regatta/base/random.hpp"
#include "regatta/sweep/state.hpp"
#include "regatta/sweep/work_queue.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;

namespace {

using Shards = std::vector<std::vector<Json>>;

const SweepRules kRules{8, 3, "dice", true};

/// Trials pause after 10 and 20 steps; the best half goes on.
SweepRules rules_with_rungs() {
  SweepRules rules = kRules;
  rules.scheduler.name = "asha";
  rules.scheduler.eta = 2;
  rules.rungs = 2;
  return rules;
}

SweepState empty_state() {
  return SweepState(kRules);
}

const std::vector<std::string> kEnds = {"ok", "paused", "signal", "oom", "diverged", "hang", "preempted", ""};

/// Three jobs at one sweep: attempts go from shard to shard, some ends come late, some attempts never end. Up to two
/// extensions, each in its own shard: trials that it lists, a larger total, a longer training.
Shards random_history(std::uint64_t seed, bool with_rungs = false) {
  const CounterRng rng(seed, RandomPurpose::kSynthetic);
  std::uint64_t draw = 0;
  const auto below = [&](std::uint64_t n) { return static_cast<std::size_t>(rng.below(n, ++draw)); };
  Shards shards(5);
  const auto add = [&shards](std::size_t shard, Json record) {
    record["shard"] = str("s", shard, ".jsonl");
    record["seq"] = shards[shard].size() + 1;
    shards[shard].push_back(std::move(record));
  };
  const std::size_t extensions = below(3);
  std::int64_t total = 8;
  for (std::size_t number = 1; number <= extensions; ++number) {
    const std::int64_t more = static_cast<std::int64_t>(below(3));
    Json fields = {{"extension", number}, {"first", total}, {"trials", total + more}};
    total += more;
    if (more > 0 && below(2) == 0) {
      fields["added"] = Json::array();
      for (std::int64_t i = 0; i < more; ++i) {
        fields["added"].push_back({{"point", 8}, {"replicate", i}, {"axes", {{"/optim/lr", 0.5}}}});
      }
    }
    if (below(2) == 0) {
      fields["length"] = {{"epochs", 10 * number}, {"steps", 0}, {"base_steps", 100 * number}};
    }
    add(2 + number, test::record("", 0, "extension", fields));
  }
  for (int trial = 0; trial < 8; ++trial) {
    std::string seen;
    int resume_step = 0;
    const auto attempts = below(5);
    for (int attempt = 1; attempt <= static_cast<int>(attempts); ++attempt) {
      const std::size_t shard = below(3);
      Json started = test::start("", 0, trial, attempt, seen, resume_step);
      if (const auto length = below(extensions + 1); length > 0) {
        started["length"] = length;
      }
      add(shard, std::move(started));
      int step = resume_step;
      for (std::size_t i = below(4); i > 0; --i) {
        step += 10;
        add(shard, test::report("", 0, trial, attempt, step, rng.uniform(++draw)));
        if (with_rungs && step <= 20) {
          const Json value = below(6) == 0 ? Json("nan") : Json(rng.uniform(++draw));
          add(shard,
              test::record(
                  "", 0, "rung",
                  {{"trial", trial}, {"attempt", attempt}, {"rung", step / 10 - 1}, {"step", step}, {"value", value}}));
        }
        if (below(2) == 0) {
          add(shard, test::checkpoint("", 0, trial, attempt, step));
          resume_step = step;
        }
      }
      const std::string ending = kEnds[below(kEnds.size())];
      if (!ending.empty()) {
        add(shard, test::end("", 0, trial, attempt, ending, step));
      }
      if (with_rungs && below(3) == 0) {
        const char* type = below(2) == 0 ? "promote" : "prune";
        add(below(3), test::record("", 0, type, {{"trial", trial}, {"attempt", attempt + 1}, {"rung", below(2)}}));
      }
      seen = ending.empty() || below(4) == 0 ? "lost" : ending;
    }
  }
  if (below(3) == 0) {
    add(below(3), test::record("", 0, "retry", {{"trial", below(8)}, {"attempt", below(4)}}));
  }
  add(below(3), test::record("", 0, "extend", {{"trials", 8 + below(3)}}));
  if (below(2) == 0) {
    add(below(3), test::record("", 0, "leave"));
  }
  return shards;
}

void check_equal(const SweepState& a, const SweepState& b) {
  REQUIRE(a.hopeless() == b.hopeless());
  REQUIRE(a.total() == b.total());
  REQUIRE(a.trials() == b.trials());
  const auto stale = [](const std::string& shard) { return shard == "s1.jsonl"; };
  const auto next_a = next_in_line(a, {}, stale);
  const auto next_b = next_in_line(b, {}, stale);
  REQUIRE(next_a.has_value() == next_b.has_value());
  if (next_a) {
    REQUIRE(next_a->trial == next_b->trial);
    REQUIRE(next_a->attempt == next_b->attempt);
    REQUIRE(next_a->promotion.has_value() == next_b->promotion.has_value());
  }
}

/// All but the question what is next.
void check_trials(const SweepState& state, const test::ReferenceState& reference) {
  REQUIRE(state.total() == reference.total());
  REQUIRE(state.trials() == reference.trials());
  REQUIRE(state.finished() == reference.finished());
  REQUIRE(state.best() == reference.best());
  REQUIRE(state.ignored() == reference.ignored());
  const SweepCounts counts = state.counts();
  const SweepCounts expected = reference.counts();
  REQUIRE(std::tuple(counts.total, counts.waiting, counts.running, counts.paused, counts.held, counts.done,
                     counts.by_status) == std::tuple(expected.total, expected.waiting, expected.running,
                                                     expected.paused, expected.held, expected.done,
                                                     expected.by_status));
}

/// Both must give the same answer to every query.
void check_like_reference(const SweepState& state, const test::ReferenceState& reference) {
  check_trials(state, reference);
  std::int64_t active_steps = 0;
  std::int64_t first_not_done = reference.total();
  for (const TrialState& trial : reference.trials()) {
    REQUIRE(state.attempts(trial.number) == trial.attempts);
    const bool active = trial.phase == TrialPhase::kRunning || trial.phase == TrialPhase::kPaused;
    active_steps += active ? trial.step : 0;
    REQUIRE(state.active_step(trial.number) == (active ? std::optional(trial.step) : std::nullopt));
    first_not_done = trial.phase == TrialPhase::kDone ? first_not_done : std::min(first_not_done, trial.number);
  }
  REQUIRE(state.active_steps() == active_steps);
  REQUIRE(state.first_not_done() == first_not_done);
  // All that can be claimed, in its order.
  const auto stale = [](const std::string& shard) { return shard == "s1.jsonl"; };
  std::set<std::int64_t> given;
  while (const auto next = reference.next_claimable(given, stale)) {
    const auto same = next_in_line(state, given, stale);
    REQUIRE(same);
    REQUIRE(std::tuple(same->trial, same->attempt, same->seen, same->resume_step) ==
            std::tuple(next->trial, next->attempt, next->seen, next->resume_step));
    const auto turned = next_in_line(state, given, stale, 5);
    REQUIRE(turned);
    REQUIRE(!given.contains(turned->trial));
    given.insert(next->trial);
  }
  REQUIRE_FALSE(next_in_line(state, given, stale));
}

}  // namespace

TEST_CASE("after every record the state with indexes answers like the reference") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Shards shards = random_history(seed);
    const CounterRng rng(seed, RandomPurpose::kSampling);
    SweepState state = empty_state();
    test::ReferenceState reference(kRules);
    for (std::uint64_t draw = 0; !shards.empty(); ++draw) {
      const std::size_t shard = rng.below(shards.size(), draw);
      if (shards[shard].empty()) {
        shards.erase(shards.begin() + static_cast<std::ptrdiff_t>(shard));
        continue;
      }
      const std::vector<Json> one = {shards[shard].front()};
      shards[shard].erase(shards[shard].begin());
      state.apply(one);
      reference.apply(one);
      check_like_reference(state, reference);
    }
  }
}

TEST_CASE("trials that pause at rungs, are promoted and pruned stand as the reference says, in any order of records") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Shards shards = random_history(seed, true);
    SweepState whole(rules_with_rungs());
    test::ReferenceState reference(rules_with_rungs());
    for (const auto& shard : shards) {
      whole.apply(shard);
      reference.apply(shard);
    }
    check_trials(whole, reference);
    const CounterRng rng(seed, RandomPurpose::kPairOrder);
    Shards left = shards;
    SweepState mixed(rules_with_rungs());
    for (std::uint64_t draw = 0; !left.empty(); ++draw) {
      const std::size_t shard = rng.below(left.size(), draw);
      if (left[shard].empty()) {
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(shard));
        continue;
      }
      mixed.apply(std::span<const Json>(&left[shard].front(), 1));
      left[shard].erase(left[shard].begin());
    }
    check_equal(mixed, whole);
    REQUIRE(value_key(mixed.cut_since({})) == value_key(whole.cut_since({})));
  }
}

TEST_CASE("any interleaving of shards, in any portions, gives the same state") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Shards shards = random_history(seed);
    SweepState whole = empty_state();
    for (const auto& shard : shards) {
      whole.apply(shard);
    }
    for (std::uint64_t order = 0; order < 5; ++order) {
      const CounterRng rng(seed * 100 + order, RandomPurpose::kPairOrder);
      SweepState mixed = empty_state();
      std::vector<std::size_t> position(shards.size(), 0);
      for (std::uint64_t draw = 0;; ++draw) {
        std::vector<std::size_t> open;
        for (std::size_t s = 0; s < shards.size(); ++s) {
          if (position[s] < shards[s].size()) {
            open.push_back(s);
          }
        }
        if (open.empty()) {
          break;
        }
        const std::size_t shard = open[rng.below(open.size(), draw, 0)];
        const std::size_t count =
            std::min<std::size_t>(1 + rng.below(3, draw, 1), shards[shard].size() - position[shard]);
        mixed.apply(std::span(shards[shard]).subspan(position[shard], count));
        position[shard] += count;
      }
      check_equal(mixed, whole);
    }
  }
}

TEST_CASE("shards on disk, cut at random bytes and continued, give the same state") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Shards shards = random_history(seed);
    const test::TemporaryFolder folder;
    SweepState whole = empty_state();
    std::vector<std::string> texts;
    for (const auto& shard : shards) {
      whole.apply(shard);
      std::string text;
      for (const Json& record : shard) {
        text += seal_line(dump_line(record)) + "\n";
      }
      texts.push_back(text);
    }
    const CounterRng rng(seed, RandomPurpose::kDropout);
    SweepState growing = empty_state();
    JournalReader reader(folder.path());
    std::vector<std::size_t> written(texts.size(), 0);
    for (std::uint64_t round = 0; round < 10; ++round) {
      for (std::size_t s = 0; s < texts.size(); ++s) {
        const std::size_t left = texts[s].size() - written[s];
        const std::size_t part = round == 9 ? left : rng.below(left + 1, round, static_cast<std::uint32_t>(s));
        std::ofstream(folder / str("s", s, ".jsonl"), std::ios::app) << texts[s].substr(written[s], part);
        written[s] += part;
      }
      growing.apply(reader.poll());
    }
    REQUIRE(reader.skipped() == 0);
    check_equal(growing, whole);
  }
}
