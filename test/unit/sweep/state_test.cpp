// The fold: phases, charging, finality, what is next. Each case is a short list of records and the state it must give.
#include <limits>

#include "fakes.hpp"
#include "regatta/sweep/state.hpp"
#include "regatta/sweep/work_queue.hpp"
#include "support/catch.hpp"

using namespace regatta;
using test::checkpoint;
using test::end;
using test::record;
using test::report;
using test::start;

namespace {

const std::string kA = "a.jsonl";
const std::string kB = "b.jsonl";
const IsStale kNobodyIsStale = [](const std::string&) { return false; };

SweepState state_of(const std::vector<Json>& records, std::int64_t trials = 4) {
  SweepState state(SweepRules{trials, 3, "dice", true});
  state.apply(records);
  return state;
}

/// "paused", "done ok", ... with the number of charged attempts.
std::string summary(const std::vector<Json>& records) {
  const TrialState trial = state_of(records).trial(0);
  return str(phase_name(trial.phase), trial.status ? str(" ", status_name(*trial.status)) : "", " ", trial.charged);
}

/// A history of attempts at trial 0: each ends with the status, at 100 k steps; a '+' in front: it had made a
/// checkpoint.
std::string after_attempts(const std::vector<std::string>& ends) {
  std::vector<Json> records;
  int seq = 0;
  int newest_checkpoint = 0;
  std::string seen;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const int attempt = static_cast<int>(i) + 1;
    const bool progressed = ends[i].starts_with('+');
    const std::string status = progressed ? ends[i].substr(1) : ends[i];
    records.push_back(start(kA, ++seq, 0, attempt, seen, newest_checkpoint));
    if (progressed) {
      newest_checkpoint += 100;
      records.push_back(checkpoint(kA, ++seq, 0, attempt, newest_checkpoint));
    }
    records.push_back(end(kA, ++seq, 0, attempt, status, newest_checkpoint + 10, "why " + status));
    seen = status;
  }
  return summary(records);
}

}  // namespace

TEST_CASE("a trial waits, runs, pauses, runs again and is done") {
  std::vector<Json> records;
  CHECK(summary(records) == "waiting 0");
  records.push_back(start(kA, 1, 0, 1));
  CHECK(summary(records) == "running 0");
  records.push_back(checkpoint(kA, 2, 0, 1, 50));
  records.push_back(end(kA, 3, 0, 1, "paused", 60));
  CHECK(summary(records) == "paused 0");
  records.push_back(start(kB, 1, 0, 2, "paused", 50));
  CHECK(summary(records) == "running 0");
  records.push_back(report(kB, 2, 0, 2, 80, 0.7));
  records.push_back(end(kB, 3, 0, 2, "ok", 100));
  const TrialState trial = state_of(records).trial(0);
  CHECK(trial.phase == TrialPhase::kDone);
  CHECK(trial.status == TrialStatus::kOk);
  CHECK(trial.attempts == 2);
  CHECK(trial.step == 100);
  CHECK(trial.checkpoint_step == 50);
  CHECK(trial.best == 0.75);
  CHECK(trial.best_step == 100);
  CHECK(trial.shard == kB);
  CHECK(trial.host == "node1");
  CHECK(trial.rank == 1);
  CHECK(trial.recipe_hash == "abc");
  CHECK(trial.result.at("best_step") == 100);
}

TEST_CASE("only a trial's own failures without a new checkpoint are charged") {
  const std::vector<std::pair<std::string, std::string>> table = {{"ok", "done ok 0"},
                                                                  {"diverged", "done diverged 0"},
                                                                  {"paused", "paused 0"},
                                                                  {"timeout", "paused 0"},
                                                                  {"preempted", "paused 0"},
                                                                  {"lost", "paused 0"},
                                                                  {"signal", "paused 1"},
                                                                  {"oom", "paused 1"},
                                                                  {"device", "paused 1"},
                                                                  {"hang", "paused 1"},
                                                                  {"failed", "paused 1"},
                                                                  {"bad_input", "paused 1"},
                                                                  {"+signal", "paused 0"},
                                                                  {"+oom", "paused 0"},
                                                                  {"+device", "paused 0"},
                                                                  {"+hang", "paused 0"},
                                                                  {"+diverged", "done diverged 0"}};
  for (const auto& [ending, expected] : table) {
    INFO(ending);
    const std::string name = ending == "bad_input" ? status_name(AttemptStatus::kBadInput) : ending;
    CHECK(after_attempts({name}) == expected);
  }
}

TEST_CASE("three charged attempts quarantine, one confirmation settles out-of-memory and bad input") {
  const std::string bad = status_name(AttemptStatus::kBadInput);
  CHECK(after_attempts({"signal", "hang"}) == "paused 2");
  CHECK(after_attempts({"signal", "hang", "failed"}) == "done quarantined 3");
  CHECK(after_attempts({"oom", "oom"}) == "done infeasible 2");
  CHECK(after_attempts({"oom", "signal"}) == "paused 2");
  CHECK(after_attempts({bad, bad}) == "done failed 2");
  CHECK(after_attempts({"oom", "paused", "oom"}) == "done infeasible 2");
  CHECK(after_attempts({"lost", "lost", "lost", "lost", "timeout"}) == "paused 0");
  CHECK(after_attempts({"+signal", "+signal", "+signal", "+signal"}) == "paused 0");
  CHECK(after_attempts({"+signal", "signal", "signal", "signal"}) == "done quarantined 3");
  CHECK(after_attempts({"signal", "signal", "ok"}) == "done ok 2");
}

TEST_CASE("a checkpoint that is no newer than the one resumed from does not save a crash loop") {
  CHECK(summary({start(kA, 1, 0, 1), checkpoint(kA, 2, 0, 1, 50), end(kA, 3, 0, 1, "signal"),
                 start(kA, 4, 0, 2, "signal", 50), checkpoint(kA, 5, 0, 2, 50), end(kA, 6, 0, 2, "signal")}) ==
        "paused 1");
  CHECK(summary({start(kA, 1, 0, 1), checkpoint(kA, 2, 0, 1, 0), end(kA, 3, 0, 1, "signal")}) == "paused 1");
}

TEST_CASE("an end that comes after the attempt was given up is ignored") {
  // b took attempt 1 for lost and started attempt 2; then a's end of attempt 1 turns up.
  const std::vector<Json> taken_over = {start(kA, 1, 0, 1), start(kB, 1, 0, 2, "lost", 0)};
  for (const std::string late : {"ok", "diverged", "signal"}) {
    std::vector<Json> records = taken_over;
    records.push_back(end(kA, 2, 0, 1, late, 100));
    CHECK(summary(records) == "running 0");
  }
  std::vector<Json> records = taken_over;
  records.push_back(end(kB, 2, 0, 2, "ok", 100));
  records.push_back(end(kA, 2, 0, 1, "signal", 100));
  CHECK(summary(records) == "done ok 0");
}

TEST_CASE("reports that a later attempt did again do not count as the best") {
  const SweepState state =
      state_of({start(kA, 1, 0, 1), report(kA, 2, 0, 1, 40, 0.5), checkpoint(kA, 3, 0, 1, 50),
                report(kA, 4, 0, 1, 80, 0.9), start(kB, 1, 0, 2, "lost", 50), report(kB, 2, 0, 2, 60, 0.6)});
  CHECK(state.trial(0).best == 0.6);
  CHECK(state.trial(0).best_step == 60);
  CHECK(state.trial(0).step == 60);
}

TEST_CASE("a metric that is not a number ranks nothing") {
  const SweepState state =
      state_of({start(kA, 1, 0, 1), report(kA, 2, 0, 1, 40, std::numeric_limits<double>::quiet_NaN()),
                report(kA, 3, 0, 1, 50, 0.2)});
  CHECK(state.trial(0).best == 0.2);
  CHECK_FALSE(state_of({start(kA, 1, 0, 1)}).trial(0).best.has_value());
}

TEST_CASE("a minimised objective takes the smallest") {
  SweepState state(SweepRules{2, 3, "dice", false});
  state.apply(std::vector<Json>{start(kA, 1, 0, 1), report(kA, 2, 0, 1, 10, 0.4), report(kA, 3, 0, 1, 20, 0.3),
                                report(kA, 4, 0, 1, 30, 0.3)});
  CHECK(state.trial(0).best == 0.3);
  CHECK(state.trial(0).best_step == 20);
}

TEST_CASE("interrupted trials go first, then new ones by number") {
  SweepState state = state_of({start(kA, 1, 0, 1), end(kA, 2, 0, 1, "ok", 9), start(kA, 3, 2, 1),
                               checkpoint(kA, 4, 2, 1, 30), end(kA, 5, 2, 1, "paused", 31)});
  auto next = next_in_line(state, {}, kNobodyIsStale);
  REQUIRE(next);
  CHECK(next->trial == 2);
  CHECK(next->attempt == 2);
  CHECK(next->seen == "paused");
  CHECK(next->resume_step == 30);
  next = next_in_line(state, {2}, kNobodyIsStale);
  REQUIRE(next);
  CHECK(next->trial == 1);
  CHECK(next->attempt == 1);
  CHECK(next->seen.empty());
  CHECK(next_in_line(state, {1, 2}, kNobodyIsStale)->trial == 3);
  CHECK_FALSE(next_in_line(state, {1, 2, 3}, kNobodyIsStale));
}

TEST_CASE("a running trial is taken over only if its writer is gone, and is then lost") {
  const SweepState state = state_of({start(kA, 1, 0, 1), checkpoint(kA, 2, 0, 1, 30)}, 1);
  CHECK_FALSE(next_in_line(state, {}, kNobodyIsStale));
  const auto next = next_in_line(state, {}, [](const std::string& shard) { return shard == kA; });
  REQUIRE(next);
  CHECK(next->attempt == 2);
  CHECK(next->seen == "lost");
  CHECK(next->resume_step == 30);
}

TEST_CASE("a writer that left in order has nothing running") {
  const SweepState state = state_of({start(kA, 1, 0, 1), record(kA, 2, "leave")}, 1);
  CHECK(state.trial(0).phase == TrialPhase::kPaused);
  CHECK(state.has_left(kA));
  CHECK(next_in_line(state, {}, kNobodyIsStale)->seen == "lost");
}

TEST_CASE("larger totals extend, smaller ones change nothing") {
  SweepState state = state_of({start(kA, 1, 0, 1), end(kA, 2, 0, 1, "ok")}, 1);
  CHECK(state.finished());
  state.apply(std::vector<Json>{record(kA, 3, "extend", {{"trials", 3}}), record(kB, 1, "extend", {{"trials", 2}})});
  CHECK(state.total() == 3);
  CHECK_FALSE(state.finished());
  CHECK(next_in_line(state, {}, kNobodyIsStale)->trial == 1);
}

TEST_CASE("a retry forgets the failures up to its attempt") {
  std::vector<Json> records = {start(kA, 1, 0, 1), end(kA, 2, 0, 1, "oom"), start(kA, 3, 0, 2, "oom"),
                               end(kA, 4, 0, 2, "oom")};
  CHECK(summary(records) == "done infeasible 2");
  records.push_back(record(kB, 1, "retry", {{"trial", 0}, {"attempt", 2}}));
  CHECK(summary(records) == "paused 0");
  CHECK(next_in_line(state_of(records), {}, kNobodyIsStale)->attempt == 3);
  records.push_back(start(kB, 2, 0, 3, "oom"));
  records.push_back(end(kB, 3, 0, 3, "oom"));
  CHECK(summary(records) == "paused 1");
}

TEST_CASE("counts and the best add up") {
  const SweepState state =
      state_of({start(kA, 1, 0, 1), report(kA, 2, 0, 1, 5, 0.9), end(kA, 3, 0, 1, "ok", 9), start(kA, 4, 1, 1),
                end(kA, 5, 1, 1, "diverged"), start(kA, 6, 2, 1), start(kA, 7, 3, 1), end(kA, 8, 3, 1, "paused")},
               6);
  const SweepCounts counts = state.counts();
  CHECK(counts.total == 6);
  CHECK(counts.done == 2);
  CHECK(counts.running == 1);
  CHECK(counts.paused == 1);
  CHECK(counts.waiting == 2);
  CHECK(counts.by_status == std::map<std::string, std::int64_t>{{"ok", 1}, {"diverged", 1}});
  CHECK(state.best()->number == 0);
  CHECK(state.trials().size() == 6);
}

TEST_CASE("unknown types and records without their fields are counted and change nothing") {
  const SweepState state = state_of({record(kA, 1, "promote", {{"trial", 0}}), record(kA, 2, "start", {{"trial", 0}}),
                                     record(kA, 3, "end", {{"trial", 0}, {"attempt", 1}, {"status", "exploded"}}),
                                     record(kA, 4, "start", {{"trial", -1}, {"attempt", 1}}), record(kA, 5, "extend"),
                                     record(kA, 6, "join"), record(kA, 7, "heartbeat"), Json(3)});
  CHECK(state.ignored() == 7);
  CHECK(state.counts().waiting == 4);
}
